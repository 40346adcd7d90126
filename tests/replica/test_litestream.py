"""A running litestream: what it is told, what it says, and that nothing is lost in the ways that are used."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from atcgen.errors import Unavailable
from atcgen.system.litestream import (
    NotReplicated,
    Replica,
    Source,
    binary,
    configuration,
    duration,
    environment,
    publish_once,
    run,
)
from atcgen.system.replication import holds_read_lock, report, sync, wait_until_replicated
from atcgen.system.restore import restore
from atcgen.system.sqlite import checkpoint, companion, problem_of, same_pages
from tests.replica.litestream_world import (
    ENVIRON,
    World,
    acknowledged,
    children,
    free_port,
    made_world,
    make_database,
    rows,
    start_store,
    wait_until,
)

pytestmark = pytest.mark.system


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An empty one."""
    with made_world(tmp_path) as made:
        yield made


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a row."""
    return make_database(tmp_path / "data/a.sqlite3")


def restored(replica: Replica, directory: Path) -> Path:
    """A copy made from a replica."""
    output = directory / "restored.sqlite3"
    asyncio.run(restore(replica, output, environ=ENVIRON, within=20))
    return output


def test_a_configuration() -> None:
    """What Litestream ignores in silence when it is misspelt."""
    sources = [
        Source("/d/a.db", "/m/1/a", Replica("s3://b/t/x/1/a.db", "http://127.0.0.1:9", "auto")),
        Source("/d/b.db", "/m/1/b", Replica("file:///r/b.db")),
    ]
    assert yaml.safe_load(configuration(sources, socket="/s", sync_interval=0.25)) == {
        "socket": {"enabled": True, "path": "/s", "permissions": 0o600},
        "shutdown-sync-timeout": "10000ms",
        "levels": [{"interval": "60000ms"}],
        "l0-retention-check-interval": "3600000ms",
        "snapshot": {"interval": "86400000ms", "retention": "86400000ms"},
        "dbs": [
            {
                "path": "/d/a.db",
                "meta-path": "/m/1/a",
                "monitor-interval": "100ms",
                "replica": {
                    "type": "s3",
                    "bucket": "b",
                    "path": "t/x/1/a.db",
                    "endpoint": "http://127.0.0.1:9",
                    "force-path-style": True,
                    "region": "auto",
                    "sync-interval": "125ms",
                },
            },
            {
                "path": "/d/b.db",
                "meta-path": "/m/1/b",
                "monitor-interval": "100ms",
                "replica": {"type": "file", "path": "/r/b.db", "sync-interval": "125ms"},
            },
        ],
    }


@pytest.mark.parametrize("url", ["s3://", "s3:///p", "gs://b/p", "/r", "file://r", "s3://b/p?endpoint=x", ""])
def test_addresses_that_are_refused(url: str) -> None:
    """Rather than replicated to some other place."""
    with pytest.raises(ValueError, match="neither"):
        Replica(url).settings()


def test_durations() -> None:
    """Never zero, which would be the default of a second."""
    assert [duration(each) for each in (0, 0.0001, 0.25, 1, 3600)] == ["1ms", "1ms", "250ms", "1000ms", "3600000ms"]


def test_the_environment_is_scrubbed() -> None:
    """One variable too many breaks every call to a store."""
    given = {
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_CA_BUNDLE": "/c",
        "HOME": "/h",
        "LITESTREAM_CONFIG": "x",
        "AWS_PROFILE": "p",
    }
    assert environment(given) == {"AWS_SECRET_ACCESS_KEY": "s", "HOME": "/h"}


def test_the_program_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is looked for beside Python first."""
    assert Path(binary()).parent == Path(sys.executable).parent
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="not installed"):
        binary()


def test_it_takes_what_it_is_told(world: World, database: Path) -> None:
    """The log names the intervals in force; only its owner may use the socket."""
    litestream = world.attach(database, sync_interval=0.25)
    litestream.wait_until_replicated(database)

    log = litestream.log.read_text()
    assert "sync-interval=125ms" in log
    assert "level=1 interval=1m0s" in log
    assert "level=9 interval=24h0m0s" in log
    assert "level=2" not in log
    assert 'msg="starting L0 retention monitor" system=store interval=1h0m0s' in log
    assert Path(litestream.socket).stat().st_mode & 0o777 == 0o600


def test_a_status_asks_for_nothing(world: World, database: Path) -> None:
    """Positions and times of all databases, of one too that does not exist yet and is taken up later."""
    later = database.with_name("later.sqlite3")
    litestream = world.attach(database, later)
    litestream.wait_until_replicated(database)

    wait_until(lambda: asyncio.run(report(litestream.socket))[0].replicated_at)
    first, second = asyncio.run(report(litestream.socket))
    assert (first.path, first.status, first.txid) == (str(database), "replicating", 1)
    assert first.replicated_at is not None
    assert abs(first.replicated_at - time.time()) < 5
    assert (second.path, second.txid, second.replicated_at) == (str(later), 0, None)
    with pytest.raises(NotReplicated):
        litestream.wait_until_replicated(later, 0.3)

    make_database(later)
    assert litestream.wait_until_replicated(later).txid > 0


def test_nobody_answers(world: World, database: Path) -> None:
    """No socket, one that nobody listens on, and one that stays silent."""
    silent = str(world.sockets / "silent")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(silent)
        for path in (str(world.sockets / "none"), silent):
            with pytest.raises(Unavailable):
                asyncio.run(sync(path, str(database), wait=False))
        sock.listen()
        began = time.monotonic()
        with pytest.raises(Unavailable, match="in time"):
            asyncio.run(sync(silent, str(database), wait=False, timeout=0.2))
        with pytest.raises(NotReplicated):
            asyncio.run(wait_until_replicated(silent, str(database), 0.2))
        assert time.monotonic() - began < 2


def test_a_database_that_is_not_in_the_configuration(world: World, database: Path) -> None:
    """It says so."""
    litestream = world.attach(database)
    with pytest.raises(NotReplicated, match="not found"):
        asyncio.run(sync(litestream.socket, "/none", wait=False))


def test_asking_without_wait_keeps_the_lock(world: World, database: Path) -> None:
    """The lock keeps an application from overwriting what was not shipped; a caller who hangs up does no harm."""
    other = make_database(database.with_name("b.sqlite3"))
    litestream = world.attach(database, other, sync_interval=60)  # so that we are the first who make it look
    with closing(sqlite3.connect(database)) as application, closing(sqlite3.connect(other)) as another:
        application.execute("SELECT * FROM entries").fetchall()
        another.execute("SELECT * FROM entries").fetchall()
        assert not holds_read_lock(database, litestream.pid)

        position = asyncio.run(sync(litestream.socket, str(database), wait=False))

        assert position.txid == 1
        assert holds_read_lock(database, litestream.pid)
        with pytest.raises(Unavailable):
            asyncio.run(sync(litestream.socket, str(database), wait=False, timeout=0))
        asyncio.run(report(litestream.socket))
        assert holds_read_lock(database, litestream.pid)
        assert not holds_read_lock(database, litestream.pid + 1)
        assert companion(other, "-shm").exists()
        assert not holds_read_lock(other, litestream.pid)
    litestream.kill()
    assert not holds_read_lock(database, litestream.pid)


def test_asking_with_wait_loses_the_lock(world: World, database: Path) -> None:
    """Why `wait` is for dead applications only. Should this fail with a newer Litestream, that rule could go."""
    litestream = world.attach(database, sync_interval=60)
    with closing(sqlite3.connect(database)) as application:
        application.execute("SELECT * FROM entries").fetchall()

        assert asyncio.run(sync(litestream.socket, str(database), wait=True)).is_replicated

        wait_until(lambda: not holds_read_lock(database, litestream.pid))


def test_no_lock_without_a_log(database: Path) -> None:
    """Nobody holds what does not exist."""
    assert not companion(database, "-shm").exists()
    assert not holds_read_lock(database, 1)


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_an_orderly_end_loses_nothing(world: World, database: Path, synchronous: str) -> None:
    """The application ends, the rest is asked for, and only then litestream ends, by force even."""
    replica = world.replica()
    litestream = world.attach(database, replica=replica)
    litestream.wait_until_replicated(database)
    with world.application(database, synchronous) as (_, ledger):
        wait_until(lambda: len(acknowledged(ledger)) > 400)
        assert holds_read_lock(database, litestream.pid)

    position = asyncio.run(sync(litestream.socket, str(database), wait=True))
    litestream.kill()

    assert position.is_replicated
    copy = restored(replica, world.directory)
    assert acknowledged(ledger) <= rows(copy)
    checkpoint(database)
    assert problem_of(copy, thorough=True) == ""
    assert same_pages(copy, database)


def test_a_new_path_heals_a_gap(world: World, database: Path) -> None:
    """Litestream is killed, and the application writes on without it until its log has started anew."""
    litestream = world.attach(database)
    litestream.wait_until_replicated(database)
    with world.application(database) as (_, ledger):
        wait_until(lambda: len(acknowledged(ledger)) > 100)
        litestream.kill()
        wait_until(lambda: len(acknowledged(ledger)) > 700)
    checkpoint(database)

    replica = world.replica()
    litestream = world.attach(database, replica=replica)
    litestream.wait_until_replicated(database)
    with world.application(database) as (_, ledger):
        seen = len(acknowledged(ledger))
        wait_until(lambda: len(acknowledged(ledger)) > seen + 100)
    assert asyncio.run(sync(litestream.socket, str(database), wait=True)).is_replicated
    litestream.end()

    copy = restored(replica, world.directory)
    assert acknowledged(ledger) <= rows(copy)
    checkpoint(database)
    assert same_pages(copy, database)


def test_a_new_path_heals_a_killed_application(world: World, database: Path) -> None:
    """Killed in mid-commit it may have shipped what SQLite then discards, so litestream is killed with it."""
    litestream = world.attach(database)
    litestream.wait_until_replicated(database)
    ledger, words = database.with_name("ledger"), [sys.executable, str(Path(__file__).with_name("application.py"))]
    application = world.spawn([*words, str(database), str(ledger), "FULL"], world.directory / "application.log")
    wait_until(lambda: len(acknowledged(ledger)) > 200)
    application.kill()
    application.wait()
    litestream.kill()
    checkpoint(database)
    assert problem_of(database) == ""

    replica = world.replica()
    world.attach(database, replica=replica).wait_until_replicated(database)

    assert acknowledged(ledger) <= rows(restored(replica, world.directory)) == rows(database)


def test_replicate_once(world: World, database: Path) -> None:
    """For databases that nobody has open."""
    replica, config = world.replica(), world.directory / "once.yml"
    source = Source(str(database), str(world.directory / "once-meta"), replica)
    config.write_text(configuration([source], socket=str(world.sockets / "once"), sync_interval=1))

    asyncio.run(publish_once(config, ENVIRON, 10))

    copy = restored(replica, world.directory)
    checkpoint(database)
    assert same_pages(copy, database)


@pytest.mark.parametrize("content", [None, b"no database" * 1000], ids=["missing", "garbage"])
def test_replicate_once_fails(world: World, content: bytes | None) -> None:
    """Its words are passed on."""
    path, config = world.directory / "x.sqlite3", world.directory / "once.yml"
    if content:
        path.write_bytes(content)
    source = Source(str(path), str(world.directory / "once-meta"), world.replica())
    config.write_text(configuration([source], socket=str(world.sockets / "once"), sync_interval=1))
    with pytest.raises(NotReplicated, match="not a database" if content else "no position"):
        asyncio.run(publish_once(config, ENVIRON, 10))


def test_replicate_once_without_a_store(world: World, database: Path) -> None:
    """It is killed when its time is over: asked to end it would try for two minutes more."""
    config, replica = world.directory / "once.yml", Replica("s3://bucket/x", f"http://127.0.0.1:{free_port()}", "r")
    source = Source(str(database), str(world.directory / "once-meta"), replica)
    config.write_text(configuration([source], socket=str(world.sockets / "once"), sync_interval=1))
    before, began = children(), time.monotonic()
    with pytest.raises(NotReplicated, match=r"within 0\.5 s"):
        asyncio.run(publish_once(config, ENVIRON, 0.5))
    assert time.monotonic() - began < 3
    assert children() <= before


def test_keys_are_never_told() -> None:
    """Whatever the program repeats."""
    done = asyncio.run(run(["testsecretkey"], ENVIRON, 10))
    assert done.status
    assert "testsecretkey" not in done.said
    assert "***" in done.said


def test_the_store_goes_and_comes_back(world: World, database: Path) -> None:
    """The application goes on, the status shows since when, asking says that it is not there; nothing is lost."""
    store = start_store(world)
    litestream = world.attach(database, replica=store.replica("x"))
    litestream.wait_until_replicated(database)
    with world.application(database) as (_, ledger):
        store.process.kill()
        store.process.wait()
        wait_until(lambda: len(acknowledged(ledger)) > 300)
        with pytest.raises(NotReplicated, match="transactions are in the store"):
            litestream.wait_until_replicated(database, 0.3)
        since = asyncio.run(report(litestream.socket))[0].replicated_at
        assert holds_read_lock(database, litestream.pid)
    with pytest.raises(NotReplicated):
        asyncio.run(sync(litestream.socket, str(database), wait=True, timeout=1))
    assert asyncio.run(report(litestream.socket))[0].replicated_at == since

    store = start_store(world, store.port)
    assert asyncio.run(sync(litestream.socket, str(database), wait=True, timeout=30)).is_replicated
    litestream.kill()

    copy = restored(store.replica("x"), world.directory)
    assert acknowledged(ledger) <= rows(copy)
    checkpoint(database)
    assert same_pages(copy, database)


def test_snapshots_are_made_as_often_as_is_said() -> None:
    """And not more often than files are put together."""
    said = [yaml.safe_load(configuration([], socket="/s", sync_interval=1, snapshot_every=each)) for each in (7200, 1)]
    assert [each["snapshot"]["interval"] for each in said] == ["7200000ms", "60000ms"]
