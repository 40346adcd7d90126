"""Copies of which no lease speaks: nothing starts beside them, and somebody can say which is the truth."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from atcgen.agent.tasks import Tasks
from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError, Unavailable
from atcgen.replica.copies import Copies
from atcgen.replica.custodian import Custodian
from atcgen.replica.custody import Marker
from atcgen.replica.drill import choose
from atcgen.replica.lease import Chapter, Holder, Lease, read_lease
from atcgen.replica.notes import MARKER, Notes
from atcgen.replica.renewal import Processes
from atcgen.replica.site import Site
from atcgen.replica.strays import reinstate, strays
from atcgen.system.store import Entry, open_store
from tests.compiler.compiling import compiled, machine

NOBODY = Processes(kill=lambda _: None, halt=lambda: None, go_on=lambda: None)
KEY = "tenants/a.x"
LEASE = Lease("a/x", 3, "us", "machine", held=False, ttl=60)
CHAPTER = (Chapter("e3.1", 1, 2),)
TEXT = """\
app: {start: 'serve ${socket}', databases: [db.sqlite3], files: [storage]}
storage: {replica: file:./copies}
users: {a: {tenants: {x: {}}}}
"""


class Here:
    """A machine without local files, and a store that is a directory."""

    def __init__(self, directory: Path) -> None:
        (directory / "store").mkdir()
        whole = compiled(TEXT, machine(base=str(directory / "home"))).plan
        (self.plan,) = whole.tenants
        self.directory = Path(self.plan.directory)
        self.directory.mkdir(parents=True)
        self.store = open_store(f"file://{directory}/store", credentials={})
        self.site = Site(
            whole.store, self.store, {}, asyncio.Semaphore(3), cast(Any, None), "us", "here", "boot", Tasks().start
        )
        self.place = directory / "store" / KEY

    async def put(self, *names: str) -> None:
        """Objects of the tenant."""
        for each in names:
            await self.store.put(f"{KEY}/{each}", b"some content")

    async def say(self, lease: Lease) -> None:
        """Write a lease."""
        await self.store.put(f"{KEY}/lease.json", lease.to_json().encode())

    async def lease(self) -> Lease | None:
        """As it is."""
        return await read_lease(self.store, f"{KEY}/lease.json")

    def mark(self, marker: Marker) -> None:
        """What is noted beside the databases."""
        (self.directory / MARKER).write_text(marker.to_json())

    def fill(self) -> None:
        """A database and a file."""
        with closing(sqlite3.connect(self.directory / "db.sqlite3")) as database:
            database.execute("CREATE TABLE entries (id INTEGER)")
        (self.directory / "storage").mkdir()
        (self.directory / "storage/a").write_text("of another one")

    async def claim(self) -> Custodian:
        """As before a start."""
        custodian = Custodian(self.plan, self.site, NOBODY)
        await custodian.claim()
        return custodian


@pytest.fixture
def here(tmp_path: Path) -> Here:
    """A machine."""
    return Here(tmp_path)


@pytest.mark.parametrize("there", [["e3.1/db.sqlite3/1.ltx"], ["files/e3.1"], ["e2.1/db/1", "e3.1/db/1"]])
def test_nothing_starts_beside_copies_without_a_lease(here: Here, there: list[str]) -> None:
    """No lease is made either."""

    async def scenario() -> None:
        await here.put(*there)
        for _ in range(2):
            with pytest.raises(Unavailable, match=r"the store has copies of it \(.*\) and no lease that says which"):
                await here.claim()
        assert await here.lease() is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("lease", "there"),
    [
        (replace(LEASE, history=CHAPTER), []),
        (replace(LEASE, history=CHAPTER), ["e3.1/db.sqlite3/1"]),
        (LEASE, ["e3.1/db.sqlite3/1"]),
        (LEASE, ["e4.1/db.sqlite3/1"]),
        (replace(LEASE, held=True, owner="us"), ["e4.1/db.sqlite3/1"]),
    ],
)
def test_a_lease_of_nothing_is_not_believed_where_something_is(here: Here, lease: Lease, there: list[str]) -> None:
    """It stays as it is."""

    async def scenario() -> None:
        await here.put(*there)
        await here.say(lease)
        with pytest.raises(Unavailable, match="and no lease that says which is the truth"):
            await here.claim()
        assert await here.lease() == lease

    asyncio.run(scenario())


def test_a_first_copy_that_was_cut_off_does_not_keep_a_tenant_from_starting(here: Here) -> None:
    """Who died meanwhile left the lease held; and who did it knows of it."""

    async def scenario() -> None:
        await here.put("e3.1/db.sqlite3/1", "files/blobs/3/a")
        await here.say(replace(LEASE, held=True))
        custodian = await here.claim()
        assert custodian.holder
        assert custodian.holder.lease.epoch == 4
        await custodian.settle(5, whoever_wants=True)
        custodian = await here.claim()  # its marker is of epoch 4
        await custodian.settle(5, whoever_wants=True)

    asyncio.run(scenario())


def test_files_alone_are_no_strays_where_there_is_a_lease() -> None:
    """A tenant may have no database."""
    entries = [Entry(f"{KEY}/files/e3.1", 1, 1), Entry(f"{KEY}/lease.json", 1, 1)]
    assert strays(LEASE, None, entries, KEY) == []
    assert strays(None, None, entries, KEY) == ["files"]
    assert strays(None, None, entries[1:], KEY) == []


def test_a_store_that_knows_less_than_the_machine_is_refused(here: Here) -> None:
    """What is here stays, however often it is tried, and the lease is not taken."""

    async def scenario() -> None:
        here.fill()
        here.mark(Marker(5, ("e5.1",), "boot", clean=True, databases=("db.sqlite3",)))
        lease = replace(LEASE, path="e3.1", history=CHAPTER)
        await here.say(lease)
        for _ in range(4):
            with pytest.raises(Unavailable, match="is it the right store"):
                await here.claim()
        assert await here.lease() == lease
        assert (here.directory / "db.sqlite3").exists()

    asyncio.run(scenario())


def test_the_lease_of_another_tenant_is_damaged(here: Here) -> None:
    """It says nothing of this one."""

    async def scenario() -> None:
        await here.say(replace(LEASE, tenant="a/y"))
        with pytest.raises(AtcError, match=r"lease\.json is damaged: it is the lease of a/y"):
            await here.claim()

    asyncio.run(scenario())


def test_a_path_that_is_there_is_not_used_again(here: Here) -> None:
    """Whatever the lease is: an older one may have taken the place of the newer."""

    async def scenario() -> None:
        await here.put("e3.1/db.sqlite3/1", "e3.4/db.sqlite3/1", "e2.9/db.sqlite3/1")
        notes = Notes(here.plan, "boot")
        copies = Copies(here.plan, here.site, notes, is_held=lambda _: True, changed=lambda: None)
        holder = cast(Holder, type("Held", (), {"lease": LEASE}))
        assert [await copies._fresh_path(holder) for _ in range(2)] == ["e3.5", "e3.6"]

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["e3.1", "e2.1"])
def test_a_path_is_made_the_truth_again(here: Here, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """The others stay restorable, and the next start restores from it."""
    asked: list[Lease] = []

    async def restored(_site: Site, _plan: TenantPlan, lease: Lease, *_: object) -> None:
        asked.append(lease)

    monkeypatch.setattr("atcgen.replica.custodian.restore_all", restored)

    async def scenario() -> None:
        await here.put("e2.1/db.sqlite3/1", "e3.1/db.sqlite3/1")
        with pytest.raises(Unavailable, match=r"no e1\.1 of a/x; it has e2\.1, e3\.1"):
            await reinstate(here.site, here.plan, "e1.1")
        made = await reinstate(here.site, here.plan, path)
        assert made == await here.lease()
        assert (made.epoch, made.path, made.history[-1].path) == (3, path, path)
        assert {each.path for each in made.history} == {"e2.1", "e3.1"}
        with pytest.raises(Unavailable, match="it says that"):
            await reinstate(here.site, here.plan, path)
        await here.claim()
        assert [(each.epoch, each.path) for each in asked] == [(4, path)]

    asyncio.run(scenario())


@pytest.mark.parametrize("follows", [False, True])
def test_files_are_set_aside_with_databases_that_are(
    here: Here, monkeypatch: pytest.MonkeyPatch, *, follows: bool
) -> None:
    """Unless they belong to what the lease says, and this machine alone has them."""

    async def restored(*_: object) -> None:
        pass

    monkeypatch.setattr("atcgen.replica.custodian.restore_all", restored)

    async def scenario() -> None:
        here.fill()
        await here.say(replace(LEASE, path="e3.1", history=CHAPTER))
        if follows:
            here.mark(Marker(3, ("e3.1",), "another boot", clean=False, databases=("db.sqlite3",)))
        await here.claim()
        assert not (here.directory / "db.sqlite3").exists()
        assert (here.directory / "storage/a").exists() == follows
        assert bool(list(here.directory.glob(".stale-*/storage/a"))) != follows

    asyncio.run(scenario())


def test_a_restore_on_trial_is_of_a_tenant_that_has_a_copy(here: Here) -> None:
    """Or of none."""

    async def scenario() -> None:
        custodian = Custodian(here.plan, here.site, NOBODY)
        assert await choose(here.site, [custodian]) is None
        await here.say(LEASE)
        assert await choose(here.site, [custodian]) is None
        await here.say(replace(LEASE, path="e3.1"))
        assert await choose(here.site, [custodian]) is custodian
        shutil.rmtree(here.place)
        await here.store.put(f"{KEY}/lease.json", b"damaged")
        assert await choose(here.site, [custodian]) is custodian

    asyncio.run(scenario())
