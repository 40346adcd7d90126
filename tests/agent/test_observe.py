"""What the agent makes of what it sees."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from atcgen.agent import lifecycle as life
from atcgen.agent.control import _start
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.observe import process_event, reconcile, stop_idle
from atcgen.agent.service import Service
from atcgen.system.supervisor import Process, Supervisor
from tests.compiler.compiling import compiled, machine


class Said(Supervisor):
    """A supervisord that says what it is told to."""

    def __init__(self, processes: list[Process]) -> None:
        super().__init__("/nowhere")
        self._said = processes

    def processes(self) -> list[Process]:
        return self._said


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen(["true"], start_new_session=True)
    process.wait()
    return process.pid


def service(tmp_path: Path, supervisor: Supervisor) -> Service:
    """One tenant, a/x, that is ready in slot 0."""
    text = "app: {start: 'x ${socket}'}\nidle: 1m\nusers: {a: {tenants: {x: {}}}}\n"
    found = Service(compiled(text, machine(base=str(tmp_path), state=str(tmp_path))).plan, supervisor)
    keeper = found.keepers["a.x"]
    keeper.tenant = replace(keeper.tenant, state=State.READY)
    return found


def test_an_event_that_was_lost_is_made_up_for(tmp_path: Path, gone: int) -> None:
    """What supervisord does not know any more has ended."""
    found = service(tmp_path, Said([]))
    keeper = found.keepers["a.x"]
    keeper.pids[0] = gone

    asyncio.run(reconcile(found))

    assert keeper.tenant.state is State.STOPPED
    assert keeper.pids == {}


def test_what_supervisord_knows_is_left_alone(tmp_path: Path, gone: int) -> None:
    """Nothing is lost, so nothing happens."""
    found = service(tmp_path, Said([Process("a.x", "0", gone)]))
    keeper = found.keepers["a.x"]
    keeper.pids[0] = gone

    asyncio.run(reconcile(found))

    assert keeper.tenant.state is State.READY


def test_the_end_of_a_process_is_believed(tmp_path: Path, gone: int) -> None:
    """As supervisord says it, with the words of its events."""
    found = service(tmp_path, Said([]))
    keeper = found.keepers["a.x"]
    keeper.pids[0] = gone

    process_event(
        found, "PROCESS_STATE_EXITED", {"groupname": "a.x", "processname": "0", "pid": str(gone), "expected": "0"}
    )

    assert keeper.tenant.state is State.STOPPED


def test_who_was_used_a_moment_ago_is_not_idle(tmp_path: Path) -> None:
    """Neither by a request that ended, nor by one that woke it."""

    async def idle_after(seconds: float) -> State:
        found = service(tmp_path, Said([]))
        keeper = found.keepers["a.x"]
        stop_idle(found, keeper.last_wake + seconds)
        return keeper.tenant.state

    assert asyncio.run(idle_after(59)) is State.READY
    assert asyncio.run(idle_after(61)) is State.DRAINING


def test_an_order_by_hand_is_a_use(tmp_path: Path) -> None:
    """Also of a tenant that is up; and whoever becomes ready has all its idle time before it."""

    async def state_after(use: Callable[[Service, Keeper], Awaitable[None]]) -> State:
        found = service(tmp_path, Said([]))
        keeper = found.keepers["a.x"]
        keeper.last_wake = time.time() - 100
        await use(found, keeper)
        stop_idle(found, time.time())
        return keeper.tenant.state

    async def nothing(found: Service, keeper: Keeper) -> None:
        assert keeper.tenant.state is State.READY

    async def becomes_ready(found: Service, keeper: Keeper) -> None:
        keeper.tenant = replace(keeper.tenant, state=State.STARTING)
        found.feed(keeper, life.Probed(found.clock(), 0))

    plan = service(tmp_path, Said([])).keepers["a.x"].plan
    Path(plan.socket_directory).mkdir(parents=True)
    Path(plan.socket(0)).touch()
    assert asyncio.run(state_after(nothing)) is State.DRAINING
    assert asyncio.run(state_after(_start)) is State.READY
    assert asyncio.run(state_after(becomes_ready)) is State.READY
