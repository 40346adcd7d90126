"""While it is in doubt whose a lease is, the processes of its tenant stand still."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from atcgen.errors import Unavailable
from atcgen.replica.lease import Claimant, HeldElsewhere, Holder, Lost
from atcgen.replica.renewal import Processes, RanOut, Renewal
from atcgen.system.store import Found, Store, open_store

TTL = 60.0


@dataclass
class Here:
    """A machine whose clock can be moved, with a lease in a directory."""

    store: Store
    late: float = 0.0
    done: list[str] = field(default_factory=list)

    def clock(self) -> float:
        return time.monotonic() + self.late

    async def holder(self, owner: str = "here") -> Holder:
        return await Claimant(
            self.store, "lease", "t/x", owner, owner, TTL, clock=self.clock, patience=self.clock
        ).acquire()

    def renewal(self, holder: Holder) -> Renewal:
        processes = Processes(self.done.append, lambda: self.done.append("halt"), lambda: self.done.append("go on"))
        return Renewal("t/x", holder, TTL, processes, clock=self.clock)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(open_store(f"file://{tmp_path}", credentials={}))


def test_who_was_away_for_less_than_the_lease_is_not_halted(here: Here) -> None:
    async def run() -> None:
        renewal = here.renewal(await here.holder())
        here.late = TTL / 2
        renewal.look_at_the_clock()
        assert here.done == []

    asyncio.run(run())


def test_who_was_away_for_longer_is_halted_until_the_lease_is_renewed(here: Here) -> None:
    async def run() -> None:
        holder = await here.holder()
        renewal = here.renewal(holder)
        here.late = TTL
        renewal.look_at_the_clock()
        assert here.done == ["halt"]
        begun = time.monotonic()
        assert await renewal.turn()
        assert time.monotonic() - begun < 0.9, "it waited for its tick"
        assert here.done == ["halt", "go on"]
        assert holder.safe_until > here.clock()

    asyncio.run(run())


def test_who_lost_it_meanwhile_is_not_continued(here: Here) -> None:
    async def run() -> None:
        renewal = here.renewal(await here.holder())
        other = Claimant(here.store, "lease", "t/x", "there", "there", TTL, patience=here.clock)
        with pytest.raises(HeldElsewhere):
            await other.acquire()  # from now on it waits
        here.late = TTL + 1
        await other.acquire()
        renewal.look_at_the_clock()
        with pytest.raises(Lost):
            await renewal.turn()
        assert here.done == ["halt"]

    asyncio.run(run())


class Away(Store):
    """A store that answers nobody."""

    async def get(self, key: str) -> Found | None:
        raise Unavailable("it is away")

    async def replace(self, key: str, body: bytes, tag: str) -> str:
        raise Unavailable("it is away")


def test_after_a_pause_a_store_that_is_away_has_a_last_chance(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        renewal = here.renewal(await here.holder())
        _cut(here, monkeypatch)
        here.late = TTL
        renewal.look_at_the_clock()
        assert await renewal.turn()  # sockets of before the pause may be dead: that is no reason to kill anybody
        here.late += TTL / 6
        with pytest.raises(RanOut):
            await renewal.turn()
        assert here.done == ["halt"]

    asyncio.run(run())


def test_a_store_that_was_away_all_the_time_has_none(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        renewal = here.renewal(await here.holder())
        _cut(here, monkeypatch)
        here.late = TTL / 2
        assert await renewal.turn()
        here.late = TTL
        with pytest.raises(RanOut):
            await renewal.turn()

    asyncio.run(run())


def _cut(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("get", "replace"):
        monkeypatch.setattr(here.store, name, getattr(Away, name).__get__(here.store))
