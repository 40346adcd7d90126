"""How far a restore is: bytes of bytes, and how long it will take yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_TOO_SOON = 0.5  # seconds of which nothing follows for the rest
_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


@dataclass(frozen=True)
class Restoring:
    """A look at a restore that goes on."""

    what: str  # databases or files
    done: int  # bytes, as all sizes here
    wanted: int
    seconds_left: float | None  # None while nobody can know

    def __str__(self) -> str:
        return amounts(self.done, self.wanted) + (f", about {_time(self.seconds_left)} left" if self.is_known else "")

    @property
    def is_known(self) -> bool:
        """Is it known how long it takes?"""
        return self.seconds_left is not None


def seconds_left(done: int, wanted: int, seconds: float) -> float | None:
    """How long the rest takes when `done` bytes took so many seconds; None when nothing can be said of it yet."""
    if done <= 0 or seconds < _TOO_SOON:
        return None
    return seconds * max(0, wanted - done) / done


def amount(size: int) -> str:
    """Such as 43 MB."""
    return amounts(size, size).partition(" of ")[2]


def amounts(done: int, wanted: int) -> str:
    """Such as 43 of 100 MB, in a unit that suits the larger one."""
    size, unit = next((each for each in _UNITS if wanted >= each[0]), (1, "bytes"))
    digits = 1 if size > 1 and wanted < 10 * size else 0
    return f"{done / size:.{digits}f} of {wanted / size:.{digits}f} {unit}"


def _time(seconds: float | None) -> str:
    """Such as 4 s or 3 min."""
    found = max(1, round(seconds or 0))
    return f"{found} s" if found < 100 else f"{round(found / 60)} min"


class Progress:
    """What a restore notes as it goes on. Several parts, by their names, may be on their way at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._what = ""
        self._wanted: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._growing: dict[str, Callable[[], int]] = {}
        self._first: tuple[float, int] | None = None  # when the first bytes were there, and how many

    def begin(self, what: str, wanted: Mapping[str, int]) -> None:
        """It begins; `wanted` is how large each part will be, as far as that is known."""
        self._what, self._wanted = what, dict(wanted)
        self._done, self._growing, self._first = {}, {}, None

    def end(self) -> None:
        """Nothing goes on."""
        self.begin("", {})

    def correct(self, name: str, wanted: int) -> None:
        """A part will be of another size than was thought."""
        if name in self._wanted:
            self._wanted[name] = wanted

    def reached(self, name: str, done: int) -> None:
        """So much of a part is there."""
        self._growing.pop(name, None)
        self._done[name] = done
        if self._first is None and done:
            self._first = self._clock(), self._sum()

    def follow(self, name: str, done: Callable[[], int]) -> None:
        """Ask for how much of a part is there, until something else is said of it."""
        self._growing[name] = done

    def look(self) -> Restoring | None:
        """How far it is; None when nothing goes on."""
        if not self._what:
            return None
        done, wanted = self._sum(), sum(self._wanted.values())
        if self._first is None and done:
            self._first = self._clock(), done
        since, before = self._first or (self._clock(), 0)
        left = seconds_left(done - before, wanted - before, self._clock() - since)
        return Restoring(self._what, min(done, wanted), wanted, left)

    def _sum(self) -> int:
        return sum(self._done.values()) + sum(each() for each in self._growing.values())
