"""The calls that the API had, and those that it shall fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Call:
    """A call and its answer; status 0 is none."""

    number: int
    method: str
    path: str
    status: int


@dataclass(frozen=True)
class Injection:
    """Fail the call of a number, before it does anything or when it is done."""

    number: int
    when: Literal["before", "after"]
    status: int = 0  # 0 closes the connection without an answer
    hook: Callable[[], None] | None = None  # called at that moment, for instance to kill the client


@dataclass
class Calls:
    """All calls, counted from 1."""

    seen: list[Call] = field(default_factory=list)
    injected: list[Injection] = field(default_factory=list)
    _number: int = 0

    def begin(self) -> int:
        """The number of a call."""
        self._number += 1
        return self._number

    def reset(self) -> None:
        """Count from 1 again, and inject nothing."""
        self._number = 0
        self.seen.clear()
        self.injected.clear()

    def injection(self, number: int, when: str) -> Injection | None:
        """What shall go wrong now."""
        found = next((each for each in self.injected if (each.number, each.when) == (number, when)), None)
        if found and found.hook:
            found.hook()
        return found
