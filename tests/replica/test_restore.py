"""Databases from replicas: whole, or not at all and with a reason."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcgen.system.litestream import Replica
from atcgen.system.restore import NoReplica, RestoreError, restore
from atcgen.system.sqlite import checkpoint, companion, problem_of, same_pages
from tests.replica.litestream_world import (
    ENVIRON,
    MEGABYTE,
    Store,
    World,
    children,
    free_port,
    made_world,
    make_database,
    rows,
    start_store,
    wait_until,
    write,
)

pytestmark = pytest.mark.system
VICTIM = "0000000000000004-0000000000000004.ltx"
# A restore in a process of its own, so that it can be killed.
ALONE = """
import asyncio, os, pathlib, sys
from atcgen.system.litestream import Replica
from atcgen.system.restore import restore
replica = Replica(sys.argv[1], sys.argv[2], "us-east-1")
asyncio.run(restore(replica, pathlib.Path(sys.argv[3]), environ=os.environ, within=60))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all tests here."""
    with made_world(tmp_path_factory.mktemp("world")) as made:
        yield made


@pytest.fixture(scope="module")
def replica(world: World) -> Replica:
    """A snapshot, and one file for each of the transactions after it."""
    made, database = world.replica(), make_database(original(world), MEGABYTE)
    litestream = world.attach(database, replica=made)
    wait_until(lambda: files(made, 9))
    for _ in range(5):
        write(database, "INSERT INTO entries (body) VALUES (randomblob(5000))")
        assert litestream.wait_until_replicated(database).is_replicated
    litestream.kill()
    checkpoint(database)
    return made


@pytest.fixture(scope="module")
def store(world: World, replica: Replica) -> Store:
    """A store that has the same as `whole`, and damaged copies of it, each with one thing wrong."""
    bucket = world.directory / "store/bucket"
    for name in ("whole", "missing", "truncated", "empty", "changed", "shorter"):
        for level in (0, 1, 9):
            target = bucket / name / f"{level:04}"
            target.mkdir(parents=True)
            for each in files(replica, level):
                shutil.copy(each, target)
        victim = bucket / name / "0000" / VICTIM
        content = victim.read_bytes()
        middle = len(content) // 2
        if name == "missing":
            victim.unlink()
        elif name == "truncated":
            victim.write_bytes(content[:middle])
        elif name == "empty":
            victim.write_bytes(b"")
        elif name == "changed":
            victim.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
        elif name == "shorter":
            sorted(victim.parent.iterdir())[-1].unlink()
    return start_store(world)


def files(replica: Replica, level: int) -> list[Path]:
    """Those of one level of compaction."""
    return list(Path(replica.url.removeprefix("file://"), "ltx", str(level)).glob("*.ltx"))


def original(world: World) -> Path:
    """What was replicated."""
    return world.directory / "data/original.sqlite3"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Where nothing is."""
    return tmp_path / "data/a.sqlite3"


@pytest.fixture
def abyss() -> Iterator[str]:
    """A store that takes every connection and never answers."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"


def left(output: Path) -> list[str]:
    """The names beside a database, and its own."""
    return sorted(each.name for each in output.parent.iterdir()) if output.parent.exists() else []


def get(replica: Replica, output: Path, **more: object) -> int:
    """Restore with patience."""
    return asyncio.run(restore(replica, output, **({"environ": ENVIRON, "within": 20} | more)))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["files", "store"])
def test_the_latest_state(kind: str, world: World, store: Store, replica: Replica, output: Path) -> None:
    """Equal to what was replicated, alone in its directory, with the mode and the owner that were asked for."""
    heard: list[int] = []
    owner = (12345, 12346) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    where = replica if kind == "files" else store.replica("whole")

    txid = get(where, output, owner=owner, mode=0o640, progress=heard.append)

    assert txid == 6
    assert left(output) == [output.name]
    stat = output.stat()
    assert (stat.st_mode & 0o777, (stat.st_uid, stat.st_gid), stat.st_nlink) == (0o640, owner, 1)
    assert heard == sorted(heard)
    assert heard[-1] == stat.st_size
    assert same_pages(output, original(world))
    assert problem_of(output, thorough=True) == ""
    assert rows(output) == set(range(1, 7))


def test_an_earlier_transaction(replica: Replica, output: Path) -> None:
    """Exactly the one that was asked for; one that was never reached is refused."""
    assert get(replica, output, txid=3) == 3
    assert rows(output) == {1, 2, 3}
    other = output.with_name("b.sqlite3")
    with pytest.raises(RestoreError, match=r"no replica of b\.sqlite3 goes so far") as caught:
        get(replica, other, txid=99)
    assert not isinstance(caught.value, NoReplica)
    assert left(output) == [output.name]


def test_a_time(world: World, output: Path) -> None:
    """The state of then; before there was anything is refused, and the future is the latest."""
    database, replica = make_database(world.directory / "data/timed.sqlite3"), world.replica()
    litestream = world.attach(database, replica=replica)
    litestream.wait_until_replicated(database)
    then = datetime.now(UTC)
    wait_until(lambda: (datetime.now(UTC) - then).total_seconds() > 0.01)
    write(database, "INSERT INTO entries (body) VALUES ('later')")
    litestream.wait_until_replicated(database)

    get(replica, output, timestamp=then)

    assert rows(output) == {1}
    other = output.with_name("b.sqlite3")
    with pytest.raises(RestoreError, match=r"that time|so far"):
        get(replica, other, timestamp=datetime(2001, 1, 1, tzinfo=UTC))
    assert get(replica, other, timestamp=datetime(2101, 1, 1, tzinfo=UTC)) == 2


def test_what_exists_stays(replica: Replica, output: Path) -> None:
    """Even an empty file, and even one that comes into being meanwhile."""
    output.parent.mkdir()
    output.touch()
    with pytest.raises(RestoreError, match="exists"):
        get(replica, output)
    output.unlink()
    with pytest.raises(RestoreError, match="exists"):
        get(replica, output, progress=lambda _: output.write_text("mine"))
    assert output.read_text() == "mine"
    assert left(output) == [output.name]


def test_a_stale_log_is_not_applied(world: World, replica: Replica, output: Path) -> None:
    """It lies there without its database, and would change the one that is restored."""
    make_database(output)
    litestream = world.attach(output)
    litestream.wait_until_replicated(output)
    litestream.kill()
    assert companion(output, "-wal").stat().st_size
    output.unlink()

    get(replica, output)

    assert left(output) == [output.name]
    assert same_pages(output, original(world))


def test_nothing_there(store: Store, world: World, output: Path) -> None:
    """Neither in a store nor in a directory."""
    for each in (store.replica("none"), Replica(f"file://{world.directory}/none")):
        with pytest.raises(NoReplica, match=r"no replica of a\.sqlite3"):
            get(each, output)
    assert left(output) == []


def test_wrong_keys(store: Store, output: Path) -> None:
    """The reason is said, the key is not."""
    for wrong in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        with pytest.raises(RestoreError, match="refuses the keys") as caught:
            get(store.replica("whole"), output, environ=ENVIRON | {wrong: "wrongwrongwrong"})
        assert not isinstance(caught.value, NoReplica)
        assert "wrongwrongwrong" not in str(caught.value)
    assert left(output) == []


@pytest.mark.parametrize(
    ("damage", "reason"),
    [("missing", "in the middle"), ("truncated", "cut off"), ("empty", "empty"), ("changed", "damaged|cut off|lz4")],
)
def test_a_damaged_replica(store: Store, output: Path, damage: str, reason: str) -> None:
    """One file of many; nothing is restored from the rest."""
    with pytest.raises(RestoreError, match=reason) as caught:
        get(store.replica(damage), output)

    assert not isinstance(caught.value, NoReplica)
    assert "\n" not in str(caught.value)
    assert left(output) == []


def test_the_last_file_is_missing(store: Store, output: Path) -> None:
    """That cannot be seen without knowing how far it went, which is what a transaction is given for."""
    with pytest.raises(RestoreError, match="goes so far"):
        get(store.replica("shorter"), output, txid=6)
    assert get(store.replica("shorter"), output) == 5


def test_the_store_is_away(abyss: str, output: Path) -> None:
    """Nobody listens, or nobody answers: it ends in time, with all that it started."""
    before = children()
    for endpoint in (f"http://127.0.0.1:{free_port()}", abyss):
        began = time.monotonic()
        with pytest.raises(RestoreError, match=r"within 0\.5 s"):
            get(Replica("s3://bucket/x", endpoint, "us-east-1"), output, within=0.5)
        assert time.monotonic() - began < 3
    assert children() <= before
    assert left(output) == []


def test_a_cancelled_restore(abyss: str, output: Path) -> None:
    """Nothing is left of it, no process either."""
    before = children()

    async def cancelled() -> None:
        replica = Replica("s3://bucket/x", abyss, "us-east-1")
        task = asyncio.ensure_future(restore(replica, output, environ=ENVIRON, within=60))
        await asyncio.to_thread(wait_until, lambda: not children() <= before)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert children() <= before
    assert left(output) == []


def test_a_killed_restore(abyss: str, replica: Replica, output: Path) -> None:
    """The next one clears up after it, but leaves one alone that still goes on."""
    words = [sys.executable, "-c", ALONE, "s3://bucket/x", abyss, str(output)]
    with subprocess.Popen(words, env=ENVIRON) as process:
        kin = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        wait_until(lambda: left(output) and kin.read_text())
        (below,) = map(int, kin.read_text().split())
        (place,) = left(output)
        assert place.startswith(".restoring-a.sqlite3-")
        other = output.with_name("a.sqlite3-2")
        get(replica, other)
        assert left(output) == [place, other.name]
        process.kill()
    os.kill(below, signal.SIGKILL)
    assert left(output) == [place, other.name]

    get(replica, output)

    assert left(output) == [output.name, other.name]


def test_a_restore_that_goes_on_is_left_alone(abyss: str, replica: Replica, output: Path) -> None:
    """Two for the same place: the first to be done wins."""

    async def both() -> None:
        slow = asyncio.ensure_future(
            restore(Replica("s3://bucket/x", abyss, "us-east-1"), output, environ=ENVIRON, within=60)
        )
        await asyncio.to_thread(wait_until, lambda: left(output))
        before = left(output)
        await restore(replica, output, environ=ENVIRON, within=20)
        assert left(output) == [*before, output.name]
        slow.cancel()
        await asyncio.wait([slow])

    asyncio.run(both())
    assert left(output) == [output.name]
