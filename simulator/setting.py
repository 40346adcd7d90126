"""What all machines, edges and the API of one simulation share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from simulator.events import Log
from simulator.tasks import Tasks
from simulator.unknowns import Tempo, Unknowns


@dataclass
class Setting:
    """The surroundings; `home` is a directory with a short name, for the kernel's limit on socket paths."""

    home: Path
    unknowns: Unknowns = field(default_factory=Unknowns)
    tempo: Tempo = field(default_factory=Tempo)
    images: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rng: random.Random = field(default_factory=random.Random)
    log: Log = field(default_factory=Log)
    tasks: Tasks = field(default_factory=Tasks)
    clock: Callable[[], float] = time.monotonic

    def happens(self, chance: float) -> bool:
        """Does something at random happen this time?"""
        return chance > 0 and self.rng.random() < chance

    def machine_id(self) -> str:
        """A fresh name of a machine."""
        return f"{self.rng.getrandbits(56):014x}"


class Addresses:
    """Loopback addresses, from a block of this simulation."""

    def __init__(self, rng: random.Random) -> None:
        self._block = f"127.{rng.randrange(64, 255)}.{rng.randrange(1, 255)}"
        self._numbers = count(1)

    def fresh(self) -> str:
        """One that nobody had."""
        number = next(self._numbers)
        if number > 250:
            raise RuntimeError("no address is left; a simulation has at most 250")
        return f"{self._block}.{number}"
