"""`tmp/restart.txt`: who touches it wants that tenant restarted, as Passenger and puma have it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State

_DIRECTORY = "tmp"
_FILE = "restart.txt"


def touched(keepers: list[Keeper]) -> Iterator[Keeper]:
    """Tenants whose file was touched after their process was started; each once for each touch.

    Only those with a `tmp` of their own are meant: a touch of one that all share would restart all at once. The first
    one, while a process boots, is no touch: puma makes the file where there is none.
    """
    for keeper in keepers:
        private = keeper.plan.private
        if keeper.tenant.state is not State.READY or private is None or _DIRECTORY not in private.directories:
            continue
        at = _time(f"{keeper.plan.directory}/{_DIRECTORY}/{_FILE}")
        began = _time(f"{keeper.plan.socket_directory}/{keeper.tenant.slot}.pid")
        if at > began > 0 and at != keeper.touched:
            is_made_by_boot = not keeper.touched and at <= _time(keeper.plan.link)
            keeper.touched = at  # a restart that fails is not tried again for the same touch
            if not is_made_by_boot:
                yield keeper


def _time(file: str) -> int:
    """When a file, or a symlink itself, was written last, in nanoseconds; 0 when there is none."""
    try:
        return os.lstat(file).st_mtime_ns
    except OSError:
        return 0
