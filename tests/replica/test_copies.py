"""A litestream that is asked for, and not wanted any more when it begins."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from atcgen.agent.tasks import Tasks
from atcgen.replica.copies import Copies
from atcgen.replica.lease import Claimant
from atcgen.replica.notes import Notes
from atcgen.replica.site import Site
from atcgen.system.processes import runs
from atcgen.system.store import open_store
from atcgen.system.supervisor import Process
from tests.compiler.compiling import compiled, machine


class SlowSupervisor:
    """Starts something that lives long, when it is let."""

    def __init__(self) -> None:
        self.was_asked, self.may_start = threading.Event(), threading.Event()
        self.child: subprocess.Popen[bytes] | None = None

    def start(self, group: str, slot: int) -> None:
        """As supervisord does: the process is there when this returns."""
        self.was_asked.set()
        assert self.may_start.wait(20)
        self.child = subprocess.Popen(["sleep", "60"], start_new_session=True)

    def process(self, group: str, slot: int) -> Process:
        """Its process id while it runs."""
        return Process(group, str(slot), self.child.pid if self.child and runs(self.child.pid) else 0)

    def poke(self) -> None:
        """There is nothing to notice."""


@pytest.fixture
def supervisor() -> Iterator[SlowSupervisor]:
    """It leaves nothing running."""
    made = SlowSupervisor()
    yield made
    if made.child:
        made.child.kill()
        made.child.wait()


def test_a_litestream_that_begins_too_late_is_ended(tmp_path: Path, supervisor: SlowSupervisor) -> None:
    """Or it would keep the databases open for ever, and nobody would know of it."""
    store = tmp_path / "store"
    store.mkdir()
    text = "storage: {volume: data, replica: file:store}\nusers: {u: {tenants: {t: null}}}"
    made = compiled(text, machine(base=str(tmp_path), state=str(tmp_path / ".atc"))).plan
    (plan,) = made.tenants
    Path(plan.directory).mkdir(parents=True)

    async def run() -> None:
        found = open_store(made.store.url, credentials={})
        site = Site(made.store, found, {}, asyncio.Semaphore(), cast(Any, supervisor), "me", "x", "boot", Tasks().start)
        assert plan.backup
        holder = await Claimant(found, plan.backup.lease, plan.id, "me", "x", 60).acquire()
        copies = Copies(plan, site, Notes(plan, "boot"), is_held=lambda _: True, changed=lambda: None)
        copies.begin(holder)
        assert await asyncio.to_thread(supervisor.was_asked.wait, 20)

        copies.stop()
        threading.Timer(0.1, supervisor.may_start.set).start()
        await copies.end(signal.SIGTERM)

        assert supervisor.child
        assert not runs(supervisor.child.pid)

    asyncio.run(run())
