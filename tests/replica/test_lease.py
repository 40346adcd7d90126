"""Who owns the databases of a tenant: state by state, and with processes that contend for it."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.replica.lease import (
    CarefulClock,
    Chapter,
    Claimant,
    Deleted,
    HeldElsewhere,
    Holder,
    Lease,
    Lost,
    lease_clock,
)
from atcgen.system.store import Conflict, Entry, Found, Store, StoreError, open_store
from tests.replica.conftest import Place
from tests.replica.servers import without_aws

pytestmark = pytest.mark.system

KEY = "tenants/a/lease.json"
TTL = 30.0
SAFE = 20.0
Scenario = Coroutine[Any, Any, None]


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Flaky:
    """A store whose writes and reads can fail, before they happen or after."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.fails_before = self.fails_after = self.unreadable = self.conflicts = False
        self.delayed: list[tuple[str, bytes, str]] | None = None
        self.meanwhile: Callable[[], Coroutine[Any, Any, object]] | None = None
        self.writes = 0

    async def get(self, key: str) -> Found | None:
        if self.unreadable:
            raise StoreError("does not answer")
        return await self.inner.get(key)

    async def get_first(self, key: str, length: int) -> bytes | None:
        return await self.inner.get_first(key, length)

    async def create(self, key: str, body: bytes) -> str:
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        return await self.inner.create(key, body)

    async def replace(self, key: str, body: bytes, tag: str) -> str:
        self.writes += 1
        if self.meanwhile:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        if self.conflicts:
            raise Conflict("as it says")
        if self.fails_before:
            raise StoreError("does not answer")
        if self.delayed is not None:
            self.delayed.append((key, body, tag))
            raise StoreError("does not answer")
        tag = await self.inner.replace(key, body, tag)
        if self.fails_after:
            raise StoreError("does not answer")
        return tag

    async def put(self, key: str, body: bytes) -> None:
        await self.inner.put(key, body)

    async def put_file(self, key: str, path: Path, digest: str) -> None:
        await self.inner.put_file(key, path, digest)

    async def get_file(self, key: str, path: Path) -> str | None:
        return await self.inner.get_file(key, path)

    async def entries(self, prefix: str) -> list[Entry]:
        return await self.inner.entries(prefix)

    async def delete(self, keys: Sequence[str]) -> None:
        await self.inner.delete(keys)


class World:
    """A store, and machines that have one clock, which is set by hand."""

    def __init__(self, directory: Path) -> None:
        self.store = Flaky(open_store(f"file://{directory}", credentials={}))
        self.clock = Time()

    def claimant(self, owner: str = "one") -> Claimant:
        """A machine that wants the lease."""
        return Claimant(self.store, KEY, "a", owner, f"machine {owner}", TTL, clock=self.clock, patience=self.clock)

    async def lease(self) -> Lease:
        """What is in the store."""
        found = await self.store.inner.get(KEY)
        assert found is not None
        return Lease.from_json(found.body, KEY)

    async def change(self, **values: Any) -> None:
        """Somebody who does not care."""
        await self.store.put(KEY, replace(await self.lease(), **values).to_json().encode())


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Nobody has the lease yet."""
    return World(tmp_path)


async def refused(claimant: Claimant) -> HeldElsewhere:
    """An acquisition that does not succeed."""
    with pytest.raises(HeldElsewhere) as raised:
        await claimant.acquire()
    return raised.value


async def failing(work: Coroutine[Any, Any, object]) -> None:
    """A call whose outcome is not known."""
    with pytest.raises(StoreError):
        await work


def test_the_first_to_come_has_it(place: Place) -> None:
    """From then on, nobody else; when it is given back, the next, who learns what is there."""

    async def scenario() -> None:
        store = place.open()
        one, two = (Claimant(store, KEY, "a", each, f"machine {each}", TTL) for each in ("one", "two"))
        holder = await one.acquire()
        assert holder.lease == Lease("a", 1, "one", "machine one", True, TTL, nonce=holder.lease.nonce)
        assert 0 < holder.safe_until - lease_clock() <= SAFE
        held = await refused(two)
        said = "machine one has it, until it gives it back or its lease is not renewed"  # and no seconds: they go by
        assert (held.holder, str(held)) == ("machine one", said)
        assert 29 < held.seconds <= 30
        await holder.renew()
        await holder.point("e1.1", 100.0)
        await holder.release({"b.db": 7, "a.db": 5}, 200.0)
        second = await two.acquire()
        assert second.lease == Lease(
            "a", 2, "two", "machine two", True, TTL, "e1.1", (("b.db", 7), ("a.db", 5)),
            (Chapter("e1.1", 100.0, 200.0),), second.lease.nonce,
        )  # fmt: skip
        with pytest.raises(Lost, match="it was released"):
            await holder.renew()

    asyncio.run(scenario())


def test_it_is_free_when_it_was_unchanged_for_all_its_time(world: World) -> None:
    """By the clock of who waits, from when they saw it; a renewal begins it anew."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        two = world.claimant("two")
        world.clock.now += 1000  # nobody looked
        assert (await refused(two)).seconds == TTL
        world.clock.now += 20
        assert (await refused(two)).seconds == 10
        await holder.renew()
        assert (await refused(two)).seconds == TTL
        world.clock.now += 29.9
        assert (await refused(two)).seconds == pytest.approx(0.1)
        world.clock.now += 0.1
        assert (await two.acquire()).lease.epoch == 2
        with pytest.raises(Lost, match="machine two has it"):
            await holder.renew()
        assert holder.safe_until == -math.inf
        with pytest.raises(Lost, match="machine two has it"):
            await holder.point("e1.1", 0)

    asyncio.run(scenario())


def test_the_time_of_the_lease_counts_and_not_that_of_who_waits(world: World) -> None:
    """They may be set up differently."""

    async def scenario() -> None:
        await world.claimant().acquire()
        quick = Claimant(world.store, KEY, "a", "two", "two", 1.0, clock=world.clock, patience=world.clock)
        await refused(quick)
        world.clock.now += TTL - 1
        assert (await refused(quick)).seconds == 1
        world.clock.now += 1
        assert (await quick.acquire()).safe_until == pytest.approx(world.clock.now + 2 / 3)

    asyncio.run(scenario())


def test_a_slow_answer_does_not_count_as_waiting(world: World) -> None:
    """What was seen was so when it was asked for at the latest, and when the answer came at the earliest."""

    async def slow_get(key: str) -> Found | None:
        world.clock.now += 10
        found = await world.store.inner.get(key)
        world.clock.now += 10
        return found

    async def scenario() -> None:
        await world.claimant().acquire()
        two = world.claimant("two")
        world.store.get = slow_get  # type: ignore[method-assign]
        assert (await refused(two)).seconds == TTL
        assert (await refused(two)).seconds == TTL
        assert (await refused(two)).seconds == 10
        assert (await two.acquire()).lease.epoch == 2

    asyncio.run(scenario())


def test_the_same_owner_has_it_back_at_once(world: World) -> None:
    """As after a crash; what held it before has lost it."""

    async def scenario() -> None:
        before = await world.claimant().acquire()
        after = await world.claimant().acquire()
        assert after.lease.epoch == 2
        with pytest.raises(Lost):
            await before.renew()
        await after.renew()

    asyncio.run(scenario())


def test_a_deleted_lease_is_nobodys(world: World) -> None:
    """Not even its last owner's."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        await holder.point("e1.1", 1.0)
        await holder.delete(5.0)
        lease = await world.lease()
        assert (lease.held, lease.deleted, lease.history) == (False, 5.0, (Chapter("e1.1", 1.0, 5.0),))
        for owner in ("one", "two"):
            with pytest.raises(Deleted, match="a was deleted; to take that back: atc tenant restore a"):
                await world.claimant(owner).acquire()
        with pytest.raises(Lost, match="the tenant was deleted"):
            await holder.renew()

    asyncio.run(scenario())


def test_a_race_is_lost_to_somebody(world: World) -> None:
    """Who is named, when it can be known; to create it, or to take it."""

    async def scenario() -> None:
        winner: list[Holder] = []

        async def wins() -> None:
            winner.append(await world.claimant("two").acquire())

        async def wins_and_returns_it() -> None:
            await wins()
            await winner[-1].release({}, 0)

        async def vanishes() -> None:
            await world.store.delete([KEY])

        world.store.meanwhile = wins
        held = await refused(world.claimant())
        assert (held.holder, held.seconds) == ("machine two", TTL)
        await winner[0].release({}, 0)
        world.store.meanwhile = wins
        assert (await refused(world.claimant())).holder == "machine two"
        await winner[1].release({}, 0)
        world.store.meanwhile = wins_and_returns_it
        held = await refused(world.claimant())
        assert (held.holder, held.seconds) == ("machine two", 0)
        world.store.meanwhile = vanishes
        held = await refused(world.claimant())
        assert (held.holder, held.seconds) == ("somebody", 0)
        assert (await world.claimant().acquire()).lease.epoch == 1

    asyncio.run(scenario())


def test_history_grows_and_is_forgotten(world: World) -> None:
    """The truth is never forgotten; what is known about databases belongs to one path."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        await holder.point("e1.1", 1.0)
        await holder.point("e1.2", 2.0)
        await holder.release({"a.db": 3}, 3.0)
        holder = await world.claimant().acquire()
        assert (holder.lease.path, holder.lease.databases) == ("e1.2", (("a.db", 3),))
        await holder.point("e2.1", 4.0)
        one, two, three = Chapter("e1.1", 1.0, 2.0), Chapter("e1.2", 2.0, 3.0), Chapter("e2.1", 4.0, None)
        assert (holder.lease.path, holder.lease.databases) == ("e2.1", ())
        assert holder.lease.history == (one, two, three)
        await holder.forget_chapters({"e1.2", "e2.1", "other"})
        assert (await world.lease()).history == (one, three)
        assert await world.lease() == holder.lease

    asyncio.run(scenario())


def test_a_path_that_is_written_to_again_has_another_chapter(world: World) -> None:
    """It was closed by the release."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        await holder.point("e1.1", 1.0)
        await holder.release({}, 2.0)
        holder = await world.claimant().acquire()
        await holder.point("e1.1", 3.0)
        assert holder.lease.history == (Chapter("e1.1", 1.0, 2.0), Chapter("e1.1", 3.0, None))

    asyncio.run(scenario())


def test_it_is_safe_from_the_start_of_the_last_write_that_succeeded(world: World) -> None:
    """Not from its end, and not from one that failed."""

    async def takes_long() -> None:
        world.clock.now += 5

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        assert holder.safe_until == 1000 + SAFE
        world.clock.now += 5
        world.store.meanwhile = takes_long
        world.store.unreadable = True  # nothing is unknown, so there is nothing to read
        await holder.renew()
        assert holder.safe_until == 1005 + SAFE
        await holder.forget_chapters([])
        assert holder.safe_until == 1010 + SAFE
        world.store.fails_before = True
        world.clock.now += 5
        await failing(holder.renew())
        assert holder.safe_until == 1010 + SAFE

    asyncio.run(scenario())


def test_writes_are_one_at_a_time(world: World) -> None:
    """At once, they would take each other for somebody else."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        await asyncio.gather(*(holder.renew() for _ in range(5)), holder.point("e1.1", 1.0))
        assert (await world.lease()).path == "e1.1"

    asyncio.run(scenario())


@pytest.mark.parametrize("happens", [True, False])
def test_a_write_of_unknown_outcome_is_resolved_by_the_next(world: World, happens: bool) -> None:
    """Whether it happened or not; and as long as nobody can read, nobody knows."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        world.store.fails_after, world.store.fails_before = happens, not happens
        world.clock.now += 5
        await failing(holder.point("e1.1", 1.0))
        assert ((await world.lease()).path == "e1.1") == happens
        assert (holder.lease.path, holder.safe_until) == ("", 1000 + SAFE)
        world.store.unreadable = True
        await failing(holder.renew())
        world.store.unreadable = world.store.fails_before = world.store.fails_after = False
        writes = world.store.writes
        await holder.renew()
        assert world.store.writes == writes + 1
        assert (holder.lease.path == "e1.1") == happens
        await holder.point("e1.1", 2.0)
        assert holder.lease.history == (Chapter("e1.1", 1.0 if happens else 2.0, None),)
        assert await world.lease() == holder.lease

    asyncio.run(scenario())


def test_what_is_learned_of_a_write_counts_from_its_start(world: World) -> None:
    """It happened then at the earliest."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        world.clock.now += 5
        world.store.fails_after = True
        await failing(holder.renew())
        world.clock.now += 5
        world.store.fails_after, world.store.fails_before = False, True
        await failing(holder.renew())
        assert holder.safe_until == 1005 + SAFE

    asyncio.run(scenario())


def test_a_write_that_arrives_late_is_known(world: World) -> None:
    """After it was looked for in vain, and just before the next."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        sent: list[tuple[str, bytes, str]] = []
        world.store.delayed = sent
        await failing(holder.point("e1.1", 1.0))
        world.store.delayed = None

        async def arrives() -> str:
            return await world.store.inner.replace(*sent[0])

        world.store.meanwhile = arrives
        await holder.renew()
        assert (holder.lease.path, await world.lease()) == ("e1.1", holder.lease)
        with pytest.raises(Conflict):
            await arrives()

    asyncio.run(scenario())


def test_a_write_that_is_cancelled_is_of_unknown_outcome(world: World) -> None:
    """As when the agent is told to end."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        written = asyncio.Event()

        async def is_cancelled() -> None:
            written.set()
            await asyncio.sleep(60)

        world.store.meanwhile = is_cancelled
        async with asyncio.timeout(10):
            work = asyncio.ensure_future(holder.renew())
            await written.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await holder.renew()
        assert await world.lease() == holder.lease

    asyncio.run(scenario())


def test_a_write_of_unknown_outcome_may_have_been_the_last(world: World) -> None:
    """Somebody else changed the object since."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        world.store.fails_after = True
        await failing(holder.renew())
        world.store.fails_after = False
        await world.change(nonce="somebody's")
        with pytest.raises(Lost, match="it was changed"):
            await holder.renew()

    asyncio.run(scenario())


def test_an_object_that_vanished_is_lost(world: World) -> None:
    """Whoever comes next would begin with the first epoch again."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        await world.store.delete([KEY])
        with pytest.raises(Lost, match="it was changed"):
            await holder.renew()

    asyncio.run(scenario())


def test_a_release_of_unknown_outcome_can_be_repeated(world: World) -> None:
    """When it happened, nothing is written: somebody else might have it by then."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        world.store.fails_after = True
        await failing(holder.release({"a.db": 1}, 1.0))
        assert holder.safe_until == 1000 + SAFE
        writes = world.store.writes
        await holder.release({"a.db": 1}, 2.0)
        assert (world.store.writes, holder.safe_until) == (writes, -math.inf)

    asyncio.run(scenario())


def test_a_release_of_unknown_outcome_can_be_taken_back(world: World) -> None:
    """As long as nobody else has the lease; a deletion can not."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        world.store.fails_after = True
        await failing(holder.release({"a.db": 1}, 1.0))
        world.store.fails_after = False
        await holder.renew()
        assert (await world.lease()).held
        world.store.fails_after = True
        await failing(holder.delete(2.0))
        world.store.fails_after = False
        with pytest.raises(Lost, match="the tenant was deleted"):
            await holder.renew()
        assert not (await world.lease()).held

    asyncio.run(scenario())


def test_a_deletion_of_unknown_outcome_can_be_repeated(world: World) -> None:
    """Its time stays that of the first."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        world.store.fails_after = True
        await failing(holder.delete(2.0))
        await holder.delete(3.0)
        assert (await world.lease()).deleted == 2.0

    asyncio.run(scenario())


def test_a_store_that_makes_no_sense_is_not_asked_for_ever(world: World) -> None:
    """Conflicts, and yet the object is as it was."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        world.store.conflicts = True
        with pytest.raises(StoreError, match="conflicts that there are not"):
            await holder.renew()
        world.store.conflicts = False
        await holder.renew()

    asyncio.run(scenario())


def test_a_later_process_goes_on_holding_it(world: World) -> None:
    """Nothing is safe before it has written; what was noted may be older than what was written last."""

    async def scenario() -> None:
        first = await world.claimant().acquire()
        noted = first.to_json()
        await first.point("e1.1", 1.0)
        second = Holder.from_json(world.store, KEY, noted, world.clock)
        assert second.safe_until == -math.inf
        await second.renew()
        assert (second.lease.path, second.lease.epoch) == ("e1.1", 1)
        assert second.safe_until == world.clock.now + SAFE
        third = Holder.from_json(world.store, KEY, second.to_json(), world.clock)
        await third.renew()
        with pytest.raises(Lost):
            await second.renew()

    asyncio.run(scenario())


def test_a_later_process_does_not_hold_what_was_given_back_or_taken(world: World) -> None:
    """By the earlier one after it noted it, before it noted it, or by somebody else."""

    async def scenario() -> None:
        first = await world.claimant().acquire()
        noted = first.to_json()
        await first.release({}, 1.0)
        with pytest.raises(Lost):
            await Holder.from_json(world.store, KEY, noted, world.clock).renew()
        with pytest.raises(Lost, match="it was released"):
            await Holder.from_json(world.store, KEY, first.to_json(), world.clock).renew()
        again = await world.claimant().acquire()
        with pytest.raises(Lost):
            await Holder.from_json(world.store, KEY, noted, world.clock).renew()
        await again.renew()

    asyncio.run(scenario())


_text = st.text(st.characters(codec=None), max_size=20)
_number = st.floats(allow_nan=False, allow_infinity=False)
_leases = st.builds(
    Lease,
    tenant=_text,
    epoch=st.integers(1),
    owner=_text,
    holder=_text,
    held=st.booleans(),
    ttl=st.floats(0, exclude_min=True, allow_infinity=False),
    path=_text,
    databases=st.dictionaries(_text, st.integers()).map(lambda each: tuple(each.items())),
    history=st.lists(st.builds(Chapter, _text, _number, st.none() | _number)).map(tuple),
    nonce=_text,
    deleted=st.none() | _number,
    files=_text,
)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(_text, each, max_size=3),
)


@given(_leases, st.dictionaries(st.text("xyz", min_size=1), _json))
def test_a_lease_is_the_same_after_a_journey(lease: Lease, more: dict[str, object]) -> None:
    """Through text; and what a newer version added does not matter."""
    assert Lease.from_json(lease.to_json(), KEY) == lease
    assert Lease.from_json(json.dumps(more | json.loads(lease.to_json())).encode(), KEY) == lease


@given(_leases)
def test_a_lease_of_before_there_were_files_is_one(lease: Lease) -> None:
    """It says nothing of them."""
    said = json.loads(lease.to_json())
    del said["files"]

    assert Lease.from_json(json.dumps(said), KEY) == replace(lease, files="")


@given(_leases, st.data())
def test_a_damaged_lease_is_refused(lease: Lease, data: st.DataObject) -> None:
    """With the name of the object and of the value: nothing is guessed."""
    said = json.loads(lease.to_json())
    name = data.draw(st.sampled_from(sorted(said)))
    if name != "files" and data.draw(st.booleans()):
        del said[name]
    else:
        good = {name: (type(said[name]),), "deleted": (float, int, type(None)), "ttl": (float, int)}[name]
        said[name] = data.draw(_json.filter(lambda each: type(each) not in good))
    with pytest.raises(StoreError, match=f"^{KEY} is damaged: {name} is "):
        Lease.from_json(json.dumps(said), KEY)


_WRONG: list[dict[str, object]] = [
    {"epoch": 0},
    {"ttl": 0},
    {"ttl": -1},
    {"ttl": math.inf},
    {"ttl": math.nan},
    {"ttl": 10**400},
    {"databases": {"a": "1"}},
    {"databases": {"a": True}},
    {"history": [1]},
    {"history": [{}]},
    {"history": [{"path": "", "begun": None, "ended": None}]},
    {"history": [{"path": "", "begun": 1}]},
]
_GOOD = json.loads(Lease("a", 1, "o", "h", True, 1).to_json())


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"null", b"[]", b"\xff", b"[" * 100_000, b"9" * 5000]
    + [json.dumps(_GOOD | wrong).encode() for wrong in _WRONG],
)
def test_what_is_no_lease(world: World, text: bytes) -> None:
    """Neither for who wants it nor for who has it."""

    async def scenario() -> None:
        holder = await world.claimant().acquire()
        await world.store.put(KEY, text)
        for work in (world.claimant().acquire(), holder.renew()):
            with pytest.raises(StoreError, match=f"{KEY} is damaged: "):
                await work

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"lease": "{}", "tag": ""}', '{"lease": 1, "tag": ""}', "[" * 100_000]
)
def test_a_damaged_note_is_refused(world: World, text: str) -> None:
    """Of a holder that went on to be another process."""
    with pytest.raises(StoreError, match="is damaged: "):
        Holder.from_json(world.store, KEY, text, world.clock)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6))))
def test_the_careful_clock_counts_rather_too_much(steps: list[tuple[float, float]]) -> None:
    """It goes on with the faster of two clocks, and never back."""
    boot, wall = Time(), Time()
    clock = CarefulClock(boot, wall)
    for boot_step, wall_step in steps:
        before = clock()
        boot.now += boot_step
        wall.now += wall_step
        assert clock() - before == pytest.approx(max(boot_step, wall_step), abs=1e-3)
        assert clock() >= before


def test_the_careful_clock_goes() -> None:
    """By the machine's clocks."""
    before = lease_clock()
    assert before <= lease_clock() < before + 60


def test_there_are_never_two(place: Place, tmp_path: Path) -> None:
    """Eight processes that want the same lease; some die with it, and some are late, which is their own affair."""
    notes = tmp_path / "notes"
    words = [sys.executable, "-m", "tests.replica.contender", place.url, place.endpoint, str(notes), "4"]
    processes = [
        subprocess.Popen(words, cwd=Path(__file__).parents[2], env=without_aws(), stderr=subprocess.PIPE)
        for _ in range(8)
    ]
    for each in processes:
        _, said = each.communicate(timeout=60)
        assert each.returncode == 0, said.decode()

    lines = [line.split() for line in notes.read_text().splitlines()]
    late = {epoch for what, _, epoch in lines if what == "late"}
    open_epochs: list[str] = []
    for what, _, epoch in lines:
        if epoch in late:
            continue
        if what == "begin":
            assert not open_epochs, f"{epoch} began before {open_epochs} ended"
            open_epochs.append(epoch)
        else:
            open_epochs.remove(epoch)
    begun = [int(epoch) for what, _, epoch in lines if what == "begin"]
    assert open_epochs == []
    assert begun == sorted(set(begun))
    assert len({who for _, who, _ in lines}) > 1
    assert len(begun) >= 4
    assert len(late) <= len(begun) / 2
