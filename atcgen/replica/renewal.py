"""Keeps the lease of one tenant, and lets nothing be written while it is not known whether somebody else has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from atcgen.errors import AtcError
from atcgen.replica.lease import Clock, Holder, Lost, lease_clock

log = logging.getLogger("atc.agent")

_TICK = 1.0  # seconds


@dataclass(frozen=True)
class Processes:
    """What is done to the processes of a tenant. They have to be killed, for a reason, when the lease is lost."""

    kill: Callable[[str], None]
    halt: Callable[[], None]
    go_on: Callable[[], None]


class RanOut(AtcError):
    """It could not be renewed in time."""


class Renewal:
    """Renews a lease three times in its time, which is `ttl` seconds."""

    def __init__(
        self, tenant: str, holder: Holder, ttl: float, processes: Processes, *, clock: Clock = lease_clock
    ) -> None:
        self._tenant, self._holder, self._ttl, self._processes = tenant, holder, ttl, processes
        self._clock = clock
        self._due = clock() + ttl / 3
        self._last_chance = 0.0  # on the clock of leases: until then it may be tried after the lease is over
        self._has_failed = False  # the last attempt
        self._is_halted = False
        self._is_late = asyncio.Event()

    def look_at_the_clock(self) -> None:
        """Halt the processes if so much time has passed that the lease may be somebody else's, and ask at once.

        It passes like that when the machine was suspended. When the store has not answered for that long, there is
        nothing more to wait for.
        """
        if self._is_halted or self._clock() < self._holder.safe_until:
            return
        self._is_halted = True
        self._last_chance = self._clock() + (0 if self._has_failed else self._ttl / 6)
        log.warning("lease.in_doubt tenant=%s", self._tenant)
        self._processes.halt()
        self._is_late.set()

    async def turn(self) -> bool:
        """Wait a little, and renew if it is due. Was it? Raises `Lost` and `RanOut`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(min(_TICK, self._ttl / 10)):
                await self._is_late.wait()
        self._is_late.clear()
        self.look_at_the_clock()
        if self._clock() < self._due:
            return False
        try:
            async with asyncio.timeout(self._patience()):
                await self._holder.renew()
        except Lost:
            raise
        except (AtcError, TimeoutError) as problem:
            self._failed(str(problem) or "the store does not answer")
        else:
            self._due, self._has_failed = self._clock() + self._ttl / 3, False
            self.end()
        return True

    def end(self) -> None:
        """Halt nothing any more."""
        if self._is_halted:
            self._is_halted = False
            self._processes.go_on()

    def _patience(self) -> float:
        """An attempt that is not answered must not take longer than the lease lasts, or than who is halted can wait."""
        if self._is_halted:
            return self._ttl / 12
        return max(self._holder.safe_until - self._clock(), self._ttl / 6)

    def _failed(self, said: str) -> None:
        log.warning("lease.not_renewed tenant=%s reason=%r", self._tenant, said)
        self._has_failed = True
        if self._clock() >= max(self._holder.safe_until, self._last_chance):
            raise RanOut(f"its lease could not be renewed: {said}")
