"""The machines of a fleet: what there should be, what there is, and how one becomes the other.

existing.py   what the Machines API lists -> Existing
planner.py    wanted machines and Existing -> steps; no effects
executor.py   one step after the other, looking again whenever it is not sure
safety.py     may the data of a machine go?
edit.py       atc.yml -> atc.yml with a user, a tenant, a place changed; comments and order stay
"""
