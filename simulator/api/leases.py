"""Who may change a machine for a while. Pure, with a clock that is given."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Lease:
    """A machine that somebody holds."""

    nonce: str
    until: float
    description: str = ""


class Held(Exception):
    """Somebody else holds the machine."""


@dataclass
class Leases:
    """The leases of all machines."""

    clock: Callable[[], float]
    rng: random.Random
    _held: dict[str, Lease] = field(default_factory=dict)

    def current(self, machine: str) -> Lease | None:
        """The lease of a machine, if it has one."""
        lease = self._held.get(machine)
        return lease if lease and lease.until > self.clock() else None

    def check(self, machine: str, nonce: str) -> None:
        """`Held` unless nobody has it, or the one who asks."""
        lease = self.current(machine)
        if lease and lease.nonce != nonce:
            raise Held(f"lease currently held until {int(lease.until)}")

    def take(self, machine: str, nonce: str, ttl: float, description: str) -> Lease:
        """A new lease, or the same one for longer."""
        self.check(machine, nonce)
        present = self.current(machine)
        name = present.nonce if present else f"{self.rng.getrandbits(48):012x}"
        self._held[machine] = Lease(name, self.clock() + ttl, description)
        return self._held[machine]

    def release(self, machine: str, nonce: str) -> None:
        """Give it back."""
        self.check(machine, nonce)
        self._held.pop(machine, None)
