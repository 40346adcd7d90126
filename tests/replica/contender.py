"""A process that takes a lease again and again, and notes when it begins and ends to rely on it."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import sys
import time
from contextlib import suppress

from atcgen.replica.lease import Claimant, HeldElsewhere, Holder, Lost, lease_clock
from tests.replica.conftest import Place

TTL = 0.9
_MARGIN = 0.1


async def contend(place: Place, notes: int, seconds: float) -> None:
    """Release it, or let it run out as if this process had died; sometimes after renewing it."""
    store, lives = place.open(), itertools.count()
    me = f"{os.getpid()}"

    def born() -> Claimant:
        return Claimant(store, "lease.json", "a", f"{me}.{next(lives)}", me, TTL)

    claimant = born()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(HeldElsewhere):
            holder = await claimant.acquire()
            if not await _rely(holder, me, notes):
                claimant = born()  # as another machine, that has to wait
        await asyncio.sleep(random.uniform(0.02, 0.1))


async def _rely(holder: Holder, me: str, notes: int) -> bool:
    """Did it come to an orderly end?"""
    if lease_clock() > holder.safe_until:  # it took so long that there is nothing to rely on
        return False
    _note(notes, "begin", me, holder)
    dies = random.random() < 0.2
    await asyncio.sleep(random.uniform(0, 0.02))
    until = holder.safe_until
    if random.random() < 0.3:
        try:
            await holder.renew()
        except Lost:
            assert lease_clock() > until, "it was taken from who relied on it"
    if dies:
        await asyncio.sleep(max(0, holder.safe_until - lease_clock() - _MARGIN))
    is_late = lease_clock() > holder.safe_until
    _note(notes, "late" if is_late else "end", me, holder)
    if not dies and not is_late:
        with suppress(Lost):  # it may have become late since
            await holder.release({}, time.time())
            return True
    return False


def _note(notes: int, what: str, me: str, holder: Holder) -> None:
    os.write(notes, f"{what} {me} {holder.lease.epoch}\n".encode())


if __name__ == "__main__":
    url, endpoint, file, seconds = sys.argv[1:]
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    asyncio.run(contend(Place(url, endpoint), descriptor, float(seconds)))
