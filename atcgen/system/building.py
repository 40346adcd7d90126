"""What is known of builds from one start of the agent to the next: which release was built last."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from atcgen.compiler.plan import BuildPlan


def is_built(plan: BuildPlan, stamp: str) -> bool:
    """Did the command succeed with this release?"""
    try:
        return Path(plan.record).read_text(encoding="ascii") == stamp
    except OSError:
        return False


def note_built(plan: BuildPlan, stamp: str) -> None:
    """Write down what was built, at once or not at all."""
    fresh = Path(f"{plan.record}.new")
    fresh.write_text(stamp, encoding="ascii")
    fresh.replace(plan.record)


def make_room(plan: BuildPlan) -> None:
    """What its launch script needs: a file to lock."""
    lock = Path(f"{plan.record}.lock")
    lock.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock.touch()
    if os.geteuid() == 0:
        os.chown(lock, pwd.getpwnam(plan.unix_user).pw_uid if plan.unix_user else 0, -1)
