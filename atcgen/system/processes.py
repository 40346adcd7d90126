"""Processes of this machine, by their ids."""

from __future__ import annotations

import os


def lives(pid: int) -> bool:
    """Is there such a process of ours? One that ended and was not waited for yet still is."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return pid > 1
