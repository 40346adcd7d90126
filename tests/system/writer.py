"""A writer that remembers what was acknowledged, so that it can be said afterwards what was lost."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.system.machine import Machine
from tests.system.running import wait_until

_BETWEEN_POSTS = 0.004
_AFTER_A_REFUSAL = 0.02


class Writer:
    """Posts rows to a machine until the block ends, about two hundred a second, and remembers what was acknowledged.

    Where it posts to may change; each row is posted once.
    """

    def __init__(self, machine: Machine, first: int = 1) -> None:
        self.machine = machine
        self.attempted: set[int] = set()
        self.acknowledged: dict[int, float] = {}  # row -> when, by the monotonic clock
        self._next = first
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No more rows."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def go_on(self, machine: Machine) -> None:
        """Post to another machine, after a stop."""
        self.machine, self._done = machine, threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def wait_for(self, more: int, within: float = 30) -> None:
        """Wait until so many more rows were acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) >= before + more, within)

    def forget(self, since: float, there: Collection[int]) -> int:
        """Leave out what was acknowledged after a moment and is not there; how many rows that is."""
        forked = [row for row, when in self.acknowledged.items() if when > since and row not in there]
        for each in forked:
            del self.acknowledged[each]
        return len(forked)

    def _go_on(self) -> None:
        while not self._done.is_set():
            number, self._next = self._next, self._next + 1
            self.attempted.add(number)
            if self.machine.add(number):
                self.acknowledged[number] = time.monotonic()
                self._done.wait(_BETWEEN_POSTS)
            else:
                self._done.wait(_AFTER_A_REFUSAL)


@dataclass(frozen=True)
class Outcome:
    """What became of the rows."""

    acknowledged: int
    lost: int
    seconds: float  # how long before the last acknowledged row the first of those that are lost was acknowledged
    holes: int  # lost rows that are older than one that was kept: not the end is missing, but something in between
    invented: int  # rows that nobody posted
    integrity: str
    forked: int = 0  # rows that a machine acknowledged while another one had the tenant, and that are not there
    refused: int = 0  # starts that did not happen

    @property
    def found(self) -> int:
        """Of the rows that were acknowledged."""
        return self.acknowledged - self.lost

    @property
    def is_one_history(self) -> bool:
        """Is there one intact database, of which at most the end is missing?"""
        return self.integrity == "ok" and not (self.invented or self.holes or self.forked)


def outcome(said: Mapping[str, Any], *writers: Writer, forked: int = 0) -> Outcome:
    """Compare what was acknowledged with what is there."""
    there = set(said["rows"])
    lost, seconds, holes = 0, 0.0, 0
    for each in writers:
        known = dict(each.acknowledged)
        missing = [when for row, when in known.items() if row not in there]
        newest_kept = max((when for row, when in known.items() if row in there), default=0.0)
        lost += len(missing)
        holes += sum(when < newest_kept for when in missing)
        seconds = max(seconds, max(known.values(), default=0.0) - min(missing, default=math.inf))
    return Outcome(
        acknowledged=sum(len(each.acknowledged) for each in writers),
        lost=lost,
        seconds=seconds,
        holes=holes,
        invented=len(there.difference(*(each.attempted for each in writers))),
        integrity=str(said["integrity"]),
        forked=forked,
    )
