"""The agent: starts tenants on demand, stops them when idle, applies new generations.

lifecycle.py is the pure core; service.py runs its commands; the other modules are its eyes and hands.
"""
