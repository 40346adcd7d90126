"""A simulator of Fly Proxy and of the Machines API, for tests and for trying things at home.

Like `bench/`, this room is a tool of the development; atc does not know it. docs/simulator.md says what it simulates.
"""
