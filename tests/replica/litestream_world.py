"""A directory with databases, the real litestream, and stores for tests; ends what it started, by its pid."""

from __future__ import annotations

import asyncio
import http.client
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from atcgen.system.litestream import Replica, Source, binary, configuration, environment
from atcgen.system.replication import Position, wait_until_replicated

APPLICATION = Path(__file__).with_name("application.py")
KEYS = {"AWS_ACCESS_KEY_ID": "testkeyid", "AWS_SECRET_ACCESS_KEY": "testsecretkey"}
ENVIRON = {"PATH": os.environ["PATH"], **KEYS}
MEGABYTE = 1_000_000


def wait_until(condition: Callable[[], object], within: float = 15) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def free_port() -> int:
    """A port of the loopback interface that nobody uses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def make_database(path: Path, size: int = 1000) -> Path:
    """A database in one file with about so many bytes in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, "PRAGMA journal_mode=WAL", "CREATE TABLE entries (id INTEGER PRIMARY KEY, body BLOB)")
    return write(path, f"INSERT INTO entries (body) VALUES (randomblob({size}))")


def write(path: Path, *statements: str) -> Path:
    """Execute statements, each a transaction of its own."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as database:
        for each in statements:
            database.execute(each).fetchall()
    return path


def rows(path: Path) -> set[int]:
    """The rows that a database has."""
    with closing(sqlite3.connect(path, timeout=10)) as database:
        return {each for (each,) in database.execute("SELECT id FROM entries")}


def children() -> set[int]:
    """The processes that this one started and that still are."""
    found = (each.read_text().split() for each in Path("/proc/self/task").glob("*/children"))
    return {int(each) for pids in found for each in pids}


@dataclass
class Litestream:
    """A running litestream."""

    process: subprocess.Popen[bytes]
    socket: str
    log: Path

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def wait_until_replicated(self, database: Path, patience: float = 10) -> Position:
        """Until everything that was written before is in the store."""
        return asyncio.run(wait_until_replicated(self.socket, str(database), patience))

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Tell it to end, which includes a last upload."""
        self.process.terminate()
        self.process.wait(10)


@dataclass
class World:
    """A directory, and the processes that were started in it."""

    directory: Path
    sockets: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    attached: int = 0

    def spawn(self, words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a process without the keys of the person who tests."""
        with log.open("ab") as output:
            kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "RCLONE_"))}
            process = subprocess.Popen(words, env=kept | environment(ENVIRON), stdout=output, stderr=output)
        self.started.append(process)
        return process

    def replica(self) -> Replica:
        """A directory that nobody used before."""
        self.attached += 1
        return Replica(f"file://{self.directory}/replica/{self.attached}")

    def attach(self, *databases: Path, replica: Replica | None = None, sync_interval: float = 0.1) -> Litestream:
        """Start litestream with a new meta directory, and a new replica unless one is given; databases count up."""
        replica = replica or self.replica()
        self.attached += 1
        place = self.directory / f"attach-{self.attached}"
        place.mkdir()
        control, log = str(self.sockets / f"{self.attached}"), place / "log"
        sources = [
            Source(str(each), str(place / each.name), replica if not number else self.replica())
            for number, each in enumerate(databases)
        ]
        config = place / "litestream.yml"
        config.write_text(configuration(sources, socket=control, sync_interval=sync_interval))
        words = [binary(), "replicate", "-config", str(config), "-no-expand-env"]
        process = self.spawn(words, log)
        wait_until(lambda: os.path.exists(control) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        return Litestream(process, control, log)

    @contextmanager
    def application(
        self, database: Path, synchronous: str = "NORMAL"
    ) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
        """A process that writes, and its ledger; told to end at the end."""
        ledger = database.with_name(database.name + ".ledger")
        words = [sys.executable, str(APPLICATION), str(database), str(ledger), synchronous]
        process = self.spawn(words, self.directory / "application.log")
        yield process, ledger
        process.terminate()
        assert process.wait(10) == 0, (self.directory / "application.log").read_text()


def acknowledged(ledger: Path) -> set[int]:
    """The rows of which the application knows that they were committed."""
    return {int(each) for each in ledger.read_text().splitlines()} if ledger.exists() else set()


@contextmanager
def made_world(directory: Path) -> Iterator[World]:
    """A world in a directory; paths of sockets have to be shorter than those that pytest makes."""
    made = World(directory, Path(tempfile.mkdtemp(prefix="ls")))
    try:
        yield made
    finally:
        for each in made.started:
            each.kill()
            each.wait()
        shutil.rmtree(made.sockets)


@dataclass
class Store:
    """A server that speaks S3 and keeps objects as plain files; it does not see what others do to them meanwhile."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path

    def replica(self, prefix: str) -> Replica:
        """A path in its only bucket."""
        return Replica(f"s3://bucket/{prefix}", f"http://127.0.0.1:{self.port}", "us-east-1")


def start_store(world: World, port: int = 0) -> Store:
    """A store, ready; on a port where one was it has what that one had."""
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.exists():
        pytest.skip("rclone is not installed")
    port, directory = port or free_port(), world.directory / "store"
    (directory / "bucket").mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{port}"
    keys = ",".join(KEYS.values())
    words = [str(rclone), "serve", "s3", "--config", "/dev/null", "--auth-key", keys, "--addr", address, str(directory)]
    process = world.spawn(words, world.directory / "rclone.log")

    def answers() -> bool:
        connection = http.client.HTTPConnection(address, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status > 0
        except OSError:
            return False
        finally:
            connection.close()

    wait_until(answers)
    return Store(process, port, directory)
