"""Machines that share a store: each is an atc with a home of its own, which can be destroyed as machines are."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.replica import servers
from tests.system.machine import PROGRAM, Machine
from tests.system.running import reserved_port, wait_until

LEDGER = Path(__file__).with_name("ledger.py")


class CannotBe(Exception):
    """This machine has not what is needed for a test."""


@dataclass(frozen=True)
class Settings:
    """What the atc.yml of every machine says."""

    lease: str = "3s"
    sync: str = "100ms"
    idle: str = "1h"
    journal: str = "wal"
    synchronous: str = "FULL"
    kill_timeout: str = "10s"
    app: str = ""  # more keys of `app`
    s3: bool = False  # a server that speaks S3, not a directory
    environ: Mapping[str, str] = field(default_factory=dict)  # of every machine, besides


@dataclass
class World:
    """Machines a and b, and what they share."""

    directory: Path
    store: Path
    a: Machine
    b: Machine

    def lease(self) -> dict[str, Any]:
        """What the store says of the tenant."""
        said: dict[str, Any] = json.loads((self.store / f"tenants/{PROGRAM}/lease.json").read_text())
        return said

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The store is not there: a file is in its place, or litestream would make a new one."""
        with self._instead("a file"):
            yield

    @contextmanager
    def unmounted(self) -> Iterator[None]:
        """An empty directory is where the store was."""
        with self._instead("nothing mounted"):
            yield

    @contextmanager
    def _instead(self, name: str) -> Iterator[None]:
        """The name of the store leads elsewhere, from one moment to the next."""
        there = self.store.readlink()
        self._lead(name)
        try:
            yield
        finally:
            self._lead(there)

    def _lead(self, target: str | Path) -> None:
        fresh = self.store.with_name("fresh")
        fresh.symlink_to(target)
        fresh.replace(self.store)

    def is_released(self) -> bool:
        """Does nobody have the tenant's databases?"""
        with suppress(OSError, ValueError):  # a server may write its file while it is looked at
            return not self.lease()["held"]
        return False

    def refused(self) -> int:
        """How many starts of the tenant did not happen, on machines that were not destroyed."""
        return self.a.refused() + self.b.refused()

    def copies_of_some_change(self) -> list[Path]:
        """Every file of the path that is the truth which has one of the transactions, chosen by lot."""
        place = self.store / f"tenants/{PROGRAM}" / self.lease()["path"]
        spans = {each: [int(end, 16) for end in each.stem.split("-")] for each in place.rglob("ltx/*/*.ltx")}
        chosen = random.randint(1, max(last for _, last in spans.values()))
        return [each for each, (first, last) in spans.items() if first <= chosen <= last]

    def wait_until_published(self, more_than: str = "") -> str:
        """Wait until the path that is the truth is of who holds the lease now, and another one than before; it."""

        def is_published() -> bool:
            with suppress(OSError, ValueError):
                lease = self.lease()
                path: str = lease["path"]
                return bool(path.startswith(f"e{lease['epoch']}.") and lease["held"] and path != more_than)
            return False

        wait_until(is_published)
        return str(self.lease()["path"])


@contextmanager
def world(settings: Settings | None = None) -> Iterator[World]:
    """Two machines that do not run yet; all that they started is ended afterwards."""
    said = settings or Settings()
    directory = Path(tempfile.mkdtemp(prefix="atcm-", dir="/tmp"))  # short, for the kernel's limit on socket paths
    for each in ("disk", "nothing mounted"):
        (directory / each).mkdir()
    (directory / "a file").touch()
    with ExitStack() as stack:
        if not os.environ.get("ATC_TEST_LEAVE"):
            stack.callback(shutil.rmtree, directory)
        storage, environ = stack.enter_context((_bucket if said.s3 else _directory)(directory))
        machines = [
            _machine(directory / name, stack.enter_context(reserved_port()), said, storage, environ)
            for name in ("a", "b")
        ]
        for machine in machines:
            stack.callback(machine.crash)
        yield World(directory, directory / "store", *machines)


@contextmanager
def _directory(directory: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    (directory / "store").symlink_to("disk")
    yield f"replica: 'file://{directory}/store'", {}


@contextmanager
def _bucket(directory: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    """A server that speaks S3 and knows who may come in: what atc.yml says of it, and the keys."""
    if not servers.RCLONE.exists():
        raise CannotBe("rclone is not installed")
    with servers.rclone(directory / "disk", directory / "rclone.log") as endpoint:
        (directory / "store").symlink_to(f"disk/{servers.BUCKET}/here")
        yield f"replica: 's3://{servers.BUCKET}/here', endpoint: '{endpoint}'", servers.CREDENTIALS


def _machine(home: Path, port: int, said: Settings, storage: str, environ: Mapping[str, str]) -> Machine:
    home.mkdir()
    (home / "atc.yml").write_text(
        f"server: {{http_port: {port}, bind: 127.0.0.1, kill_timeout: {said.kill_timeout}, hold: 20s}}\n"
        f"app:\n  root: {LEDGER.parent}\n  start: {sys.executable} ledger.py ${{socket}}\n  {said.app}\n"
        f"  env: {{DATABASE: '${{database}}', JOURNAL: {said.journal}, SYNC: '{said.synchronous}'}}\n"
        f"storage: {{volume: ./data, {storage}, lease: {said.lease}}}\n"
        f"backup: {{sync: {said.sync}}}\nidle: {said.idle}\n"
        f"users: {{t: {{tenants: {{x: {{}}}}}}}}\n"
    )
    return Machine(home.name, home, port, {**environ, **said.environ})
