"""The agent is always there, so it loads nothing that only others need."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("pydantic", "obstore", "yaml", "rich", "click", "atcgen.replica.custodian", "atcgen.agent.metrics")


def test_the_agent_loads_nothing_heavy() -> None:
    """The schema, the object store's client and what prints are for the compiler, for who copies, and for people."""
    words = [sys.executable, "-c", "import sys, atcgen.agent.__main__; print(*sys.modules)"]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()

    assert not set(HEAVY) & set(loaded)
