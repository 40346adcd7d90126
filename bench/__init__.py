"""Benchmarks: what atc costs, side by side with what it is measured against, and the bars it has to keep.

`python -m bench` runs all of them, `python -m bench NAME…` some; a bar that is missed is exit status 1.
"""
