"""How often something may be asked: token buckets with a clock that is given. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rate:
    """So many a second, and so many at once."""

    per_second: float
    burst: int


USUAL = Rate(1, 3)
READING_ONE = Rate(5, 10)
DELETING_APPS = Rate(100 / 60, 100)


@dataclass
class Limits:
    """The buckets of all actions."""

    clock: Callable[[], float]
    _levels: dict[Hashable, tuple[float, float]] = field(default_factory=dict)

    def admit(self, key: Hashable, rate: Rate) -> bool:
        """May it be done now?"""
        now = self.clock()
        level, at = self._levels.get(key, (float(rate.burst), now))
        level = min(rate.burst, level + (now - at) * rate.per_second)
        admitted = level >= 1
        self._levels[key] = (level - 1 if admitted else level, now)
        return admitted
