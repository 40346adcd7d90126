"""Files of a tenant besides its databases: over the end of machines, moves and kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atcgen.system.processes import runs
from tests.system.running import Atc, running, wait_until

pytestmark = pytest.mark.system

OLD = 1_500_000_000 * 10**9 + 123_456_789  # nanoseconds


@dataclass(frozen=True)
class Shared:
    """The store."""

    path: Path
    interval: str = "1h"

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """A machine with nothing but atc.yml; in the end it is destroyed."""
        text = (
            f"storage: {{replica: 'file://{self.path}', lease: 3s}}\nidle: 1h\n"
            f"backup: {{sync: 100ms, files: {self.interval}}}\n"
            "users: {a: {app: {databases: [storage/main.sqlite3], files: [storage, uploads]}, tenants: {x: {}}}}\n"
        )
        with running(text, server="kill_timeout: 15s, hold: 20s") as atc:
            yield Machine(atc, self)

    def lease(self) -> dict[str, Any]:
        """As it is."""
        said: dict[str, Any] = json.loads((self.path / "tenants/a.x/lease.json").read_text())
        return said


@dataclass(frozen=True)
class Machine:
    """One of those that share the store."""

    atc: Atc
    shared: Shared

    @property
    def directory(self) -> Path:
        """Of the tenant."""
        return self.atc.home / "data/a.x"

    def begin(self) -> None:
        """Make what an application makes at its first start: a database, and files of all kinds."""
        self.write("storage/blobs/ab/cdef", os.urandom(100_000))
        self.write("storage/private", b"secret", mode=0o600)
        self.write("uploads/ü.txt", b"one")
        (self.directory / "uploads/empty").mkdir(mode=0o750)
        (self.directory / "uploads/link").symlink_to("ü.txt")
        with closing(sqlite3.connect(self.directory / "storage/main.sqlite3")) as database:
            database.executescript("PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1);")

    def write(self, name: str, content: bytes, mtime_ns: int = OLD, mode: int = 0o644) -> None:
        """A file."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        os.utime(path, ns=(mtime_ns, mtime_ns))

    def files(self) -> dict[str, tuple[object, ...]]:
        """What there is, but databases and what is atc's own."""
        found: dict[str, tuple[object, ...]] = {}
        for each in self.directory.rglob("*"):
            name, said = str(each.relative_to(self.directory)), each.lstat()
            if name.startswith(".") or "sqlite3" in name:
                continue
            if each.is_symlink():
                found[name] = (str(each.readlink()),)
            elif each.is_dir():
                found[name] = (stat.S_IMODE(said.st_mode),)
            else:
                found[name] = (stat.S_IMODE(said.st_mode), said.st_mtime_ns, each.read_bytes())
        return found

    def wake(self) -> None:
        """Have the tenant up, and its databases in the store."""
        wait_until(lambda: self.atc.ask("/a/x/").status == 200)

        def is_published() -> bool:
            lease = self.shared.lease()
            return bool(lease["held"]) and str(lease["path"]).startswith(f"e{lease['epoch']}.")

        wait_until(is_published)

    def stop(self) -> None:
        """Stop the tenant, and wait until it was given back."""
        self.atc.cli("stop", "a/x")
        wait_until(lambda: not self.shared.lease()["held"])

    def rows(self) -> int:
        """In the database."""
        with closing(sqlite3.connect(self.directory / "storage/main.sqlite3")) as database:
            return int(database.execute("SELECT count(*) FROM t").fetchone()[0])


@pytest.fixture
def shared() -> Iterator[Shared]:
    """An empty store."""
    directory = Path(tempfile.mkdtemp(prefix="atcs-"))
    yield Shared(directory)
    shutil.rmtree(directory)


def test_files_outlive_the_machine(shared: Shared, tmp_path: Path) -> None:
    """Content, modes and times, after an orderly end; a copy can be looked at before."""
    with shared.machine() as a:
        a.begin()
        a.wake()
        a.write("uploads/late", b"written while awake")
        before = a.files()
    with shared.machine() as b:
        said = json.loads(b.atc.cli("backup", "verify", "--json", "a/x").stdout)
        assert said == {"storage/main.sqlite3": "ok", "storage": "ok", "uploads": "ok"}
        b.atc.cli("backup", "restore", "a/x", "--to", str(tmp_path / "look"))
        assert (tmp_path / "look/uploads/late").read_bytes() == b"written while awake"
        assert (tmp_path / "look/storage/main.sqlite3").exists()
        assert b.atc.cli("backup", "restore", "a/x", "--to", str(tmp_path / "look"), check=False).returncode == 3
        b.wake()
        assert b.files() == before
        assert b.rows() == 1


def test_what_changes_is_sent_while_the_tenant_is_awake(shared: Shared) -> None:
    """So that little is lost with a machine that is destroyed at once; and an earlier state can be had again."""
    with Shared(shared.path, "1s").machine() as a:
        a.begin()
        a.wake()
        wait_until(lambda: bool(shared.lease()["files"]))
        first = shared.lease()["files"]
        before, moment = a.files(), f"{(int(first.split('.')[1]) + 2) / 1000}"
        wait_until(lambda: shared.lease()["files"] == first)
        a.write("uploads/ü.txt", b"two", OLD + 1)
        (a.directory / "storage/private").unlink()
        wait_until(lambda: shared.lease()["files"] != first)
        changed = a.files()
        assert len(json.loads(a.atc.cli("backup", "list", "--json", "a/x").stdout)["files"]) == 2

        a.stop()
        at = _iso(moment)
        a.atc.cli("backup", "restore", "a/x", "--at", at, "--in-place")
        assert a.files() == before
        (stale,) = a.directory.glob(".stale-*")
        assert (stale / "uploads/ü.txt").read_bytes() == b"two"
        assert (stale / "storage/main.sqlite3").exists()
        assert changed != before
    with shared.machine() as b:
        b.wake()
        assert b.files() == before


def _iso(seconds: str) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(float(seconds), UTC).isoformat()


def test_who_comes_back_has_what_the_other_one_wrote(shared: Shared) -> None:
    """From a to b and back; what a had is set aside."""
    with shared.machine() as a, shared.machine() as b:
        a.begin()
        a.wake()
        a.stop()
        b.wake()
        b.write("uploads/ü.txt", b"of b", OLD + 1)
        (b.directory / "storage/private").unlink()
        b.stop()
        expected = b.files()
        a.wake()
        assert a.files() == expected
        (stale,) = a.directory.glob(".stale-*")
        assert (stale / "storage/private").read_bytes() == b"secret"
        assert (stale / "storage/main.sqlite3").exists()
        assert a.rows() == 1
        a.stop()
        a.write("uploads/meanwhile", b"nobody had it since")
        a.wake()
        assert (a.directory / "uploads/meanwhile").exists()


def test_a_missing_content_keeps_the_tenant_from_starting(shared: Shared) -> None:
    """And it is said which; when it is there again, so is the tenant."""
    with shared.machine() as a:
        a.begin()
        a.wake()
    (blob,) = (each for each in (shared.path / "tenants/a.x/files/blobs").rglob("*") if each.stat().st_size == 100_000)
    blob.rename(shared.path / "elsewhere")
    with shared.machine() as b:
        assert b.atc.ask("/a/x/").status == 503
        (said,) = b.atc.status()["tenants"]
        assert said["state"] == "failed"
        assert said["reason"] == "the file storage/blobs/ab/cdef of a/x is missing in the store"
        assert b.atc.cli("backup", "verify", "a/x", check=False).returncode == 3
        assert not b.files()
        (shared.path / "elsewhere").rename(blob)
        b.atc.cli("start", "a/x")
        assert b.rows() == 1
        assert (b.directory / "storage/blobs/ab/cdef").stat().st_size == 100_000


def test_half_a_copy_is_none(shared: Shared) -> None:
    """Everything is killed while contents are sent; the former state is restored elsewhere."""
    with Shared(shared.path, "1s").machine() as a, shared.machine() as b:
        a.begin()
        a.wake()
        wait_until(lambda: bool(shared.lease()["files"]))
        first, before = shared.lease()["files"], a.files()
        blobs = shared.path / f"tenants/a.x/files/blobs/{shared.lease()['epoch']}"
        count = len(list(blobs.iterdir()))
        fresh = a.directory / "fresh"
        fresh.mkdir()
        for number in range(3000):
            (fresh / str(number)).write_bytes(b"%d" % number)
        fresh.rename(a.directory / "uploads/many")
        wait_until(lambda: len(list(blobs.iterdir())) > count + 20)
        _kill(a.atc.process.pid)
        assert len(list(blobs.iterdir())) < count + 3000
        assert shared.lease()["files"] == first
        b.wake()
        assert b.files() == before


def _kill(root: int) -> None:
    """A process and all it started, at one moment."""
    found: list[int] = []
    left = [root]
    while left:
        pid = left.pop()
        with suppress(OSError):
            os.kill(pid, signal.SIGSTOP)
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                left += [int(each) for each in (task / "children").read_text().split()]
    for pid in found:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(runs(each) for each in found if each != root))
