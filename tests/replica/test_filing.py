"""Files of a tenant to a store and back, in both kinds of store; nothing else of atc runs."""

from __future__ import annotations

import asyncio
import os
import pwd
import stat
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from atcgen.agent.tasks import Tasks
from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError
from atcgen.replica import fetching, filing
from atcgen.replica.custodian import Custodian
from atcgen.replica.files import DAY, Version
from atcgen.replica.filing import Filing
from atcgen.replica.lease import Claimant, Holder, Lease
from atcgen.replica.progress import Progress
from atcgen.replica.renewal import Processes
from atcgen.replica.site import Site
from atcgen.system import tree
from atcgen.system.store import Entry, Found, Store, StoreError
from tests.compiler.compiling import compiled, machine
from tests.replica.conftest import Place

pytestmark = pytest.mark.system

NOBODY = Processes(kill=lambda _: None, halt=lambda: None, go_on=lambda: None)

OLD = 1_500_000_000 * 10**9 + 123_456_789  # nanoseconds
TEXT = """\
app: {start: 'serve ${socket}', databases: [db.sqlite3, storage/main.sqlite3], files: [storage, uploads/images]}
storage: {replica: file:./copies}
users: {a: {tenants: {x: {}}}}
"""


class Watched:
    """A store that counts what is written, and that stops answering before an object whose key has some words."""

    def __init__(self, inner: Store) -> None:
        self.inner = inner
        self.sent: list[str] = []
        self.stops_before = ""

    async def _look(self, key: str) -> None:
        if self.stops_before and self.stops_before in key:
            raise StoreError("does not answer")

    async def get(self, key: str) -> Found | None:
        return await self.inner.get(key)

    async def get_first(self, key: str, length: int) -> bytes | None:
        return await self.inner.get_first(key, length)

    async def create(self, key: str, body: bytes) -> str:
        return await self.inner.create(key, body)

    async def replace(self, key: str, body: bytes, tag: str) -> str:
        await self._look(key)
        return await self.inner.replace(key, body, tag)

    async def put(self, key: str, body: bytes) -> None:
        await self._look(key)
        await self.inner.put(key, body)

    async def put_file(self, key: str, path: Path, digest: str) -> None:
        await self._look(key)
        await self.inner.put_file(key, path, digest)
        self.sent.append(path.name)

    async def get_file(self, key: str, path: Path) -> str | None:
        return await self.inner.get_file(key, path)

    async def entries(self, prefix: str) -> list[Entry]:
        return await self.inner.entries(prefix)

    async def delete(self, keys: Sequence[str]) -> None:
        await self.inner.delete(keys)


@dataclass
class Here:
    """A machine: its directory of the tenant, and what copies it."""

    name: str
    plan: TenantPlan
    store: Watched
    site: Site
    filing: Filing

    @property
    def directory(self) -> Path:
        """Of the tenant."""
        return Path(self.plan.directory)

    async def claim(self, *, late: bool = False) -> Holder:
        """The lease; `late` waits until that of another machine is over."""
        claimant = self.claimant(time.monotonic)
        try:
            return await claimant.acquire()
        except AtcError:
            if not late:
                raise
        claimant._patience = lambda: time.monotonic() + 1000
        return await claimant.acquire()

    def claimant(self, patience: Callable[[], float]) -> Claimant:
        """Of this machine."""
        assert self.plan.backup
        key = f"{self.plan.backup.key}/lease.json"
        return Claimant(self.store, key, "a/x", self.name, self.name, 60, patience=patience)

    async def lease(self) -> Lease:
        """As it is in the store."""
        assert self.plan.backup
        key = f"{self.plan.backup.key}/lease.json"
        found = await self.store.get(key)
        assert found
        return Lease.from_json(found.body, key)

    async def restore(self) -> Path | None:
        """As a claim does; where to the old ones were moved."""
        version = fetching.current(await self.lease())
        async with self.filing.fetched(version, Progress()) as put:
            return put(None)

    def write(self, name: str, content: str | bytes, mtime_ns: int = OLD, mode: int = 0o644) -> None:
        """A file of the tenant."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        os.utime(path, ns=(mtime_ns, mtime_ns))

    def read(self, name: str) -> str:
        """What is in a file."""
        return (self.directory / name).read_text()

    def all(self) -> dict[str, tuple[object, ...]]:
        """Everything there is, but atc's own: kind, mode, and what it is."""
        found: dict[str, tuple[object, ...]] = {}
        for each in sorted(self.directory.rglob("*")):
            name, said = str(each.relative_to(self.directory)), each.lstat()
            if name.startswith("."):
                continue
            if each.is_symlink():
                found[name] = ("link", str(each.readlink()))
            elif each.is_dir():
                found[name] = ("directory", stat.S_IMODE(said.st_mode))
            else:
                found[name] = ("file", stat.S_IMODE(said.st_mode), said.st_mtime_ns, each.read_bytes())
        return found


class _Killed(BaseException):
    """What comes after it in the program never happens."""


Machines = Callable[[str], Here]


@pytest.fixture
def machines(place: Place, tmp_path: Path) -> Machines:
    """Make machines that share a store."""

    def make(name: str) -> Here:
        whole = compiled(TEXT, machine(base=str(tmp_path / name))).plan
        (plan,) = whole.tenants
        Path(plan.directory).mkdir(parents=True)
        store = Watched(place.open())
        site = Site(whole.store, store, {}, asyncio.Semaphore(3), cast(Any, None), name, name, "boot", Tasks().start)
        return Here(name, plan, store, site, Filing(plan, site))

    return make


def run(work: Awaitable[None]) -> None:
    """One scenario."""

    async def scenario() -> None:
        async with asyncio.timeout(60):
            await work

    asyncio.run(scenario())


def fill(here: Here) -> None:
    """Files of every kind."""
    here.write("storage/a", "one", mode=0o640)
    here.write("storage/deep/er/b", "two")
    here.write("storage/empty file", b"")
    here.write("storage/same", "one")
    here.write("storage/large", os.urandom(9 << 20))
    here.write("uploads/images/ü\udcff\n", b"\0" * 5, mode=0o600)
    (here.directory / "storage/nothing").mkdir(mode=0o711)
    (here.directory / "storage/link").symlink_to("deep/er/b")
    (here.directory / "storage/deep/up").symlink_to("../a")
    (here.directory / "storage/deep").chmod(0o700)


def test_files_come_back_as_they_were(machines: Machines) -> None:
    """Content, modes, times, empty directories, symlinks; on a machine that has nothing."""
    a, b = machines("a"), machines("b")

    async def scenario() -> None:
        fill(a)
        holder = await a.claim()
        await a.filing.copy(holder)
        await holder.release({}, time.time())
        await b.claim()
        assert await b.restore() is None

    run(scenario())
    assert b.all() == a.all()
    assert sorted(a.store.sent) == ["a", "b", "empty file", "large", "ü\udcff\n"]  # what is the same is sent once
    assert not list(b.directory.glob(".*"))


def test_what_is_no_file_of_the_tenant_is_left_out(machines: Machines) -> None:
    """Databases and what is beside them, symlinks that point out, pipes; the same is said."""
    a, b = machines("a"), machines("b")

    async def scenario() -> None:
        for name in ("storage/main.sqlite3", "storage/main.sqlite3-wal", "storage/.restoring-main.sqlite3-x/restored"):
            a.write(name, "database")
        a.write("db.sqlite3", "database")
        a.write("other/x", "not declared")
        a.write("storage/main.sqlite3-note", "a file")
        a.write("storage/deep/.restoring-x", "a file")
        for name, target in (("out", "../db.sqlite3"), ("abs", "/etc/passwd"), ("round", "deep/../../db.sqlite3")):
            (a.directory / "storage" / name).symlink_to(target)
        (a.directory / "storage/deep/inner").symlink_to("..")
        (a.directory / "storage/trick").symlink_to("deep/inner/../db.sqlite3")  # inside by its words alone
        os.mkfifo(a.directory / "storage/pipe")
        await a.filing.copy(await a.claim())
        await (await a.claim()).release({}, time.time())
        await b.restore()

    run(scenario())
    assert set(b.all()) == {
        "storage", "storage/deep", "storage/deep/inner", "storage/main.sqlite3-note", "storage/deep/.restoring-x",
    }  # fmt: skip
    assert len(a.filing._left_out) == 5


def test_only_what_changed_is_read_and_sent(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also by another process of the same machine, and by one that restored them."""
    a, b = machines("a"), machines("b")
    read: list[str] = []

    def digest_of(path: Path) -> tuple[str, tree.Stat]:
        read.append(path.name)
        return tree.digest_of(path)

    monkeypatch.setattr(filing, "digest_of", digest_of)

    async def scenario() -> None:
        fill(a)
        holder = await a.claim()
        await a.filing.copy(holder)
        before = holder.lease.files
        read.clear()
        a.store.sent.clear()
        await a.filing.copy(holder)
        assert (read, a.store.sent, holder.lease.files) == ([], [], before)

        anew = Filing(a.plan, a.site)
        await anew.copy(holder)
        assert (read, holder.lease.files) == ([], before)

        a.write("storage/a", "changed", OLD + 10**10)
        a.write("storage/deep/er/b", "two", OLD + 10**10)  # touched
        (a.directory / "storage/same").unlink()
        await anew.copy(holder)
        assert (sorted(read), a.store.sent) == (["a", "b"], ["a"])
        assert holder.lease.files != before

        (a.directory / "storage/nothing").chmod(0o700)
        version = holder.lease.files
        await anew.copy(holder)
        assert holder.lease.files != version
        await holder.release({}, time.time())

        read.clear()
        theirs = await b.claim()
        await b.restore()
        await b.filing.copy(theirs)
        assert (read, b.store.sent, theirs.lease.files) == ([], [], holder.lease.files)

    run(scenario())
    assert b.all() == a.all()


def test_half_a_copy_is_none(machines: Machines) -> None:
    """Whether it ended among the contents, before the list, or before the lease pointed to it."""
    a, b = machines("a"), machines("b")

    async def scenario() -> None:
        fill(a)
        holder = await a.claim()
        await a.filing.copy(holder)
        before = a.all()
        for stop in ("/blobs/", "/files/e", "lease.json"):
            a.write("storage/a", f"before {stop}")
            a.write(f"storage/new before {stop.replace('/', '')}", "new")
            a.store.stops_before = stop
            with pytest.raises(StoreError):
                await a.filing.copy(holder)
            assert "does not answer" in a.filing.problem
            await b.restore()
            assert b.all() == before
        a.store.stops_before = ""
        await a.filing.copy(holder)
        assert a.filing.problem == ""
        await b.restore()
        assert b.all() == a.all()

    run(scenario())


def test_what_a_former_owner_writes_late_is_harmless(machines: Machines) -> None:
    """It does not know yet that it has lost the lease."""
    a, b, c = machines("a"), machines("b"), machines("c")

    async def scenario() -> None:
        a.write("storage/a", "of a")
        late = await a.claim()
        await a.filing.copy(late)
        holder = await b.claim(late=True)
        await b.restore()
        b.write("storage/a", "of b", OLD + 1)
        await b.filing.copy(holder)
        moment = datetime.now(UTC)
        a.write("storage/a", "of a, too late")
        with pytest.raises(AtcError):
            await a.filing.copy(late)

        prefix = fetching.prefix_of(a.plan)
        assert len([each for each in await a.store.entries(prefix) if "/e1." in each.key]) == 2
        await c.restore()
        assert c.read("storage/a") == "of b"
        found = await fetching.truths(c.site, c.plan, holder.lease)
        assert [each.epoch for each in found] == [1, 2]
        assert await fetching.version_at(c.site, c.plan, holder.lease, moment, 2) == found[1]
        assert await fetching.version_at(c.site, c.plan, holder.lease, moment, 1) == found[0]

    run(scenario())


def test_what_a_former_owner_deletes_late_is_harmless(machines: Machines) -> None:
    """It found a content that nobody named, and the present owner sends the same one: to a place of its own."""
    a, b, c = machines("a"), machines("b"), machines("c")

    async def scenario() -> None:
        former = await a.claim()
        for number, content in enumerate(("one", "two")):
            a.write("storage/a", content, OLD + number)
            await a.filing.copy(former)
        seen = [each.key for each in await a.store.entries(f"{fetching.prefix_of(a.plan)}/blobs")]
        unnamed = [each for each in seen if each.endswith(_digest("one"))]
        assert len(unnamed) == 1
        holder = await b.claim(late=True)
        await b.restore()
        b.write("storage/b", "one")
        await b.filing.copy(holder)
        await a.store.delete(unnamed)
        await c.restore()
        assert (c.read("storage/a"), c.read("storage/b")) == ("two", "one")
        assert b.store.sent == ["b"]

    run(scenario())


@pytest.mark.parametrize("damage", ["missing", "damaged", "no list", "damaged list"])
def test_a_copy_that_is_not_whole_is_not_restored(machines: Machines, damage: str) -> None:
    """Nothing that is here is touched, and what is wrong is said."""
    a, b = machines("a"), machines("b")
    words = {"missing": "the file storage/a of a/x is missing", "damaged": "the file storage/a of a/x is damaged",
             "no list": "is missing", "damaged list": "is damaged"}[damage]  # fmt: skip

    async def scenario() -> None:
        a.write("storage/a", "one")
        a.write("storage/b", "two")
        holder = await a.claim()
        await a.filing.copy(holder)
        manifest = await fetching.read(a.site, a.plan, cast(Version, Version.parse(holder.lease.files)))
        is_list = "list" in damage
        key = f"files/{holder.lease.files}" if is_list else f"files/blobs/{manifest.files['storage/a'].blob}"
        if damage in ("missing", "no list"):
            await a.store.delete([f"tenants/a.x/{key}"])
        else:
            await a.store.put(f"tenants/a.x/{key}", b"two")
        b.write("storage/a", "old")
        before = b.all()
        with pytest.raises(AtcError, match=words):
            await b.restore()
        assert b.all() == before
        assert not list(b.directory.glob(".*"))
        if not is_list:
            _, problems = await fetching.verify(b.site, b.plan, manifest.version, b.directory)
            assert list(problems) == ["storage/a"]

    run(scenario())


def test_old_files_are_set_aside_and_databases_stay(machines: Machines) -> None:
    """The directory of one may be that of the others."""
    a, b = machines("a"), machines("b")

    async def scenario() -> None:
        a.write("storage/a", "new")
        a.write("storage/deep/b", "new")
        a.write("uploads/images/c", "new")
        await a.filing.copy(await a.claim())
        b.write("storage/main.sqlite3", "database")
        b.write("storage/deep/old", "old")
        b.write("uploads/images/c", "old")
        b.write("uploads/other", "not declared")
        aside = await b.restore()
        assert aside is not None
        assert (aside / "storage/deep/old").read_text() == (aside / "uploads/images/c").read_text() == "old"
        assert len(list(aside.rglob("*"))) == 6
        assert set(b.all()) - set(a.all()) == {"storage/main.sqlite3", "uploads/other"}
        assert b.read("uploads/images/c") == b.read("storage/deep/b") == "new"

    run(scenario())


def test_a_file_that_is_written_all_the_time_keeps_its_former_content(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is left in peace."""
    a, b = machines("a"), machines("b")

    async def scenario() -> None:
        a.write("storage/log", "first")
        holder = await a.claim()
        await a.filing.copy(holder)
        a.write("storage/log", "grows", OLD + 1)
        with monkeypatch.context() as patch:
            patch.setattr(filing, "digest_of", lambda path: ("00" * 32, tree.digest_of(path)[1]))
            await a.filing.copy(holder)
        await b.restore()
        assert b.read("storage/log") == "first"
        await a.filing.copy(holder)
        await b.restore()
        assert b.read("storage/log") == "grows"

    run(scenario())


def test_a_wish_is_heard_while_the_last_is_copied(machines: Machines) -> None:
    """The tenant need not wait for gigabytes; and what goes on meanwhile is waited for the next time."""
    a = machines("a")
    slow, seen = asyncio.Event(), asyncio.Event()

    async def scenario() -> None:
        a.write("storage/a", "one")
        holder = await a.claim()
        put_file = a.store.put_file

        async def hanging(key: str, path: Path, digest: str) -> None:
            seen.set()
            await slow.wait()
            await put_file(key, path, digest)

        a.store.put_file = hanging  # type: ignore[method-assign]
        assert not await a.filing.finish(holder, seen.is_set)
        assert holder.lease.files == ""
        slow.set()
        assert await a.filing.finish(holder, lambda: False)
        assert holder.lease.files != ""
        assert a.store.sent == ["a"]

    run(scenario())


def test_what_nobody_needs_is_deleted(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a day; not what any list that is kept names, nor what is younger than a day."""
    a = machines("a")

    async def scenario() -> None:
        now = time.time()
        clock = SimpleNamespace(time=lambda: now, time_ns=lambda: int(now * 10**9))
        monkeypatch.setattr("atcgen.replica.filing.time", clock)
        born: dict[str, float] = {}

        async def aged(prefix: str) -> list[Entry]:
            found = await a.store.inner.entries(prefix)
            return [replace(each, modified=born.setdefault(each.key, now)) for each in found]

        monkeypatch.setattr(a.store, "entries", aged)
        holder = await a.claim()

        async def change(content: str, after: float) -> None:
            nonlocal now
            now += after
            a.write("storage/a", content, int(now * 10**9) - 10**10)
            await a.filing.copy(holder)
            await aged(fetching.prefix_of(a.plan))

        def blobs() -> int:
            return sum("/blobs/" in each for each in born)

        await change("first", 0)
        await change("second", 60)
        a.write("storage/late", "of nobody")
        await a.store.put(f"{fetching.prefix_of(a.plan)}/e0.5", b"")  # no version
        assert blobs() == 2
        for day in range(1, 10):
            await change(f"day {day}", DAY + 1)
        left = [each.key for each in await aged(fetching.prefix_of(a.plan))]
        lists = [each for each in left if "/e1." in each]
        assert 7 <= len(lists) <= 9
        assert 7 <= sum("/blobs/" in each for each in left) <= 11
        assert not any(each.endswith(_digest("first")) for each in left)
        for version in await fetching.truths(a.site, a.plan, holder.lease):
            _, problems = await fetching.verify(a.site, a.plan, version, a.directory)
            assert problems == {}

    run(scenario())


def _digest(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def test_a_list_that_is_lost_is_made_anew(machines: Machines) -> None:
    """By who has the files."""
    a, b = machines("a"), machines("b")

    async def scenario() -> None:
        a.write("storage/a", "one")
        holder = await a.claim()
        await a.filing.copy(holder)
        await a.store.delete([f"{fetching.prefix_of(a.plan)}/{holder.lease.files}"])
        await Filing(a.plan, a.site).copy(holder)
        await b.restore()
        assert b.all() == a.all()

    run(scenario())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_belong_to_the_user_of_the_tenant(machines: Machines) -> None:
    """Whoever they belonged to; bits of the mode that a change of owner takes are there."""
    a, b = machines("a"), machines("b")
    nobody = pwd.getpwnam("nobody")

    async def scenario() -> None:
        a.write("storage/deep/a", "one", mode=0o4755)
        a.write("uploads/images/b", "two")
        (a.directory / "storage/link").symlink_to("deep")
        await a.filing.copy(await a.claim())
        b.plan = replace(b.plan, unix_user="nobody")
        b.filing.plan = b.plan
        await b.restore()
        assert b.all() == a.all()
        for each in ("storage", "storage/deep", "storage/deep/a", "storage/link", "uploads", "uploads/images/b"):
            assert (b.directory / each).lstat().st_uid == nobody.pw_uid, each

    run(scenario())


def test_a_tenant_without_any_database_has_its_files(machines: Machines) -> None:
    """On another machine, and on its own, where those that are here are the newest."""
    a, b = machines("a"), machines("b")

    async def claim_and_settle(here: Here, content: str) -> dict[str, tuple[object, ...]]:
        custodian = Custodian(here.plan, here.site, NOBODY)
        await custodian.claim()
        found = here.all()
        here.write("storage/a", content, time.time_ns())
        custodian.let_go()
        await custodian.settled(30)
        assert custodian.holder is None
        return found

    async def scenario() -> None:
        await claim_and_settle(a, "of a")
        there = await claim_and_settle(b, "of b, later")
        assert there["storage/a"][3] == b"of a"
        there = await claim_and_settle(a, "of a again")
        assert there["storage/a"][3] == b"of b, later"
        a.write("storage/b", "nobody had it since")
        there = await claim_and_settle(a, "")
        assert (there["storage/a"][3], "storage/b" in there) == (b"of a again", True)

    run(scenario())


def test_a_claim_that_was_killed_gives_back_what_it_had(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is here was not known to be the truth yet, and must not become it: neither databases nor files."""
    a, b = machines("a"), machines("b")

    async def scenario() -> None:
        a.write("storage/a", "of a")
        holder = await a.claim()
        await a.filing.copy(holder)
        await holder.point("e1.1", time.time())
        await holder.release({"db.sqlite3": 1}, time.time())
        before = await a.lease()
        b.write("db.sqlite3", "stale")
        b.write("storage/a", "stale")

        async def killed(*_: object) -> None:
            raise _Killed

        claiming = Custodian(b.plan, b.site, NOBODY)
        monkeypatch.setattr("atcgen.replica.custodian.restore_all", killed)
        monkeypatch.setattr(claiming, "_give_back", killed)
        with pytest.raises(_Killed):
            await claiming.claim()
        assert claiming._renewing
        claiming._renewing.cancel()

        resumed = Custodian(b.plan, b.site, NOBODY)
        await resumed.resume(0, is_awake=False)
        resumed.suspect()
        await resumed.settle(5)
        assert resumed.holder is None
        after = await a.lease()
        assert (after.held, after.epoch) == (False, 2)
        assert (after.path, after.databases, after.files) == (before.path, before.databases, before.files)

    run(scenario())
