"""What a machine looks at before it sleeps: logs, connections, its tenants; and what it asks for."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atcgen.agent.lifecycle import State
from atcgen.agent.machine_keeper import Check, MachineKeeper
from atcgen.agent.machine_life import Machine
from atcgen.agent.machine_life import State as MachineState
from atcgen.agent.observe import stop_idle
from atcgen.agent.resting import LONG, Visitors, Work, needed_for
from atcgen.agent.service import Service
from atcgen.compiler.plan import HookPlan
from atcgen.errors import Unavailable
from atcgen.system import fly_api
from atcgen.system.connections import Connections
from atcgen.system.hooks import Surroundings, inherited, run_hooks
from atcgen.system.logs import last_admitted
from atcgen.system.probe import Address
from atcgen.system.supervisor import Supervisor
from tests.compiler.compiling import compiled, machine
from tests.system.platform import platform
from tests.system.running import wait_until

TEXT = "app: {start: 'x ${socket}'}\nusers: {a: {tenants: {x: {}, y: {}}}}\n"


def service(home: Path, text: str = TEXT) -> Service:
    """Tenants a/x and a/y, at rest."""
    (home / "run").mkdir(exist_ok=True)
    return Service(compiled(text, machine(base=str(home), state=str(home))).plan, Supervisor("/nowhere"))


# The logs


def written(file: Path, *entries: tuple[float, int]) -> Path:
    """An access log with these times and statuses."""
    lines = (
        f'{{"time":"{datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")}","status":{status}}}\n'
        for at, status in entries
    )
    file.write_text("".join(lines))
    return file


def test_the_last_request_that_was_admitted_is_found(tmp_path: Path) -> None:
    """Behind any number of refused ones, and not if it is older than what is known."""
    refused = [(2000.0 + n, 401 + 2 * (n % 2)) for n in range(5000)]
    log = written(tmp_path / "log", (1000.0, 200), (1500.0, 302), *refused)

    assert last_admitted(log, 1200.0) == 1501.0
    assert last_admitted(log, 1600.0) == 0.0
    assert last_admitted(written(tmp_path / "log", (1000.0, 404)), 10.0) == 1001.0
    assert last_admitted(tmp_path / "none", 0.0) == 0.0


# Connections


def test_a_connection_is_known_again_at_the_next_look(tmp_path: Path) -> None:
    """By a name that another one to the same socket has not."""
    address = Address(socket=str(tmp_path / "s"))
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(address.socket)
        server.listen()
        assert Connections().which(address) == frozenset()
        with closing(address.connect()), closing(server.accept()[0]):
            first = Connections().which(address)
            assert len(first) == 1
            assert Connections().which(address) == first
            with closing(address.connect()), closing(server.accept()[0]):
                assert len(Connections().which(address) - first) == 1


def test_who_is_connected_for_long_uses_the_machine() -> None:
    """And who comes and goes does not, however often."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        plan = compiled(f"server: {{http_port: {port}, bind: 127.0.0.1}}\n{TEXT}").plan
        visitors = Visitors()
        assert visitors.look(plan, 0.0) == (0, False)
        with closing(socket.create_connection(("127.0.0.1", port))):
            assert visitors.look(plan, 1.0) == (1, False)
            assert visitors.look(plan, LONG) == (1, False)
            assert visitors.look(plan, LONG + 1) == (1, True)
        server.accept()[0].close()
        for at in range(20, 60):
            with closing(socket.create_connection(("127.0.0.1", port))):
                assert visitors.look(plan, at) == (1, False)
            server.accept()[0].close()


# What it is needed for


@pytest.mark.parametrize("state", State)
def test_a_tenant_that_does_anything_keeps_it_awake(tmp_path: Path, state: State) -> None:
    """One that is down, or could not be started, does not."""
    found = service(tmp_path)
    found.keepers["a.x"].tenant = replace(found.keepers["a.x"].tenant, state=state)

    assert (needed_for(found, Work()) == "") is (state in (State.STOPPED, State.FAILED))


@pytest.mark.parametrize("at_rest", [False, True])
def test_databases_that_are_not_given_back_keep_it_awake(tmp_path: Path, at_rest: bool) -> None:
    """Also when no process is left."""
    found = service(tmp_path)
    custodian: Any = SimpleNamespace(is_at_rest=at_rest)
    found.keepers["a.x"].custodian = custodian

    assert (needed_for(found, Work()) == "") is at_rest


def test_work_keeps_it_awake(tmp_path: Path) -> None:
    """Until the last that does it has ended."""
    work, found = Work(), service(tmp_path)
    with work.at("a restore on trial is under way"):
        with work.at("a restore on trial is under way"):
            pass
        assert needed_for(found, work) == "a restore on trial is under way"
    assert needed_for(found, work) == ""


def test_a_clock_that_jumps_puts_no_tenant_to_sleep(tmp_path: Path) -> None:
    """It was behind after a resume, and a tenant that was woken meanwhile is not idle for hours."""

    async def state_after_the_jump(*, noticed: bool) -> State:
        found = service(tmp_path)
        keeper = found.keepers["a.x"]
        keeper.tenant = replace(keeper.tenant, state=State.READY)
        keeper.last_wake = time.time() - 10_000
        if noticed:
            MachineKeeper(found).resumed()
        stop_idle(found, time.time())
        return keeper.tenant.state

    assert asyncio.run(state_after_the_jump(noticed=True)) is State.READY
    assert asyncio.run(state_after_the_jump(noticed=False)) is State.DRAINING


# The gate


def test_checks_are_over_before_anybody_is_let_in(tmp_path: Path) -> None:
    """Each within its time; one that fails, or does not end, keeps nobody out."""

    async def run() -> list[str]:
        story: list[str] = []
        keeper = MachineKeeper(service(tmp_path))
        keeper.machine = Machine(state=MachineState.ASLEEP, is_gated=True)

        async def news() -> None:
            story.append("news begin")
            await asyncio.sleep(0.05)
            story.append("news end")

        async def fail() -> None:
            raise Unavailable("the store does not answer")

        async def hang() -> None:
            await asyncio.sleep(60)

        keeper.checks += [Check("news", news, 5.0), Check("fails", fail, 5.0), Check("hangs", hang, 0.05)]

        async def ask() -> None:
            assert await keeper.pass_gate() == ""
            story.append("in")

        async with asyncio.timeout(10):
            await asyncio.gather(ask(), ask())
        assert await keeper.pass_gate() == ""
        return story

    assert asyncio.run(run()) == ["news begin", "news end", "in", "in"]


def test_who_waits_at_the_gate_for_long_is_told_so(tmp_path: Path) -> None:
    """And those beyond the limit at once."""

    async def run() -> list[str]:
        keeper = MachineKeeper(service(tmp_path, f"server: {{hold: 100ms, max_waiting: 1}}\n{TEXT}"))
        keeper.machine = Machine(state=MachineState.ASLEEP, is_gated=True)
        keeper.checks = [Check("hangs", lambda: asyncio.sleep(60), 60.0)]
        return list(await asyncio.gather(keeper.pass_gate(), keeper.pass_gate()))

    assert asyncio.run(run()) == ["starting", "starting"]


# The platform


def test_a_machine_of_the_platform_knows_itself() -> None:
    """By its environment and by the socket."""
    with platform() as fly:
        assert fly_api.socket_of(fly.environ) == str(fly.path)
        assert fly_api.socket_of({**fly.environ, "FLY_MACHINE_ID": ""}) == ""
        assert fly_api.socket_of({**fly.environ, "FLY_API_SOCKET": "/nowhere"}) == ""


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, fly_api.NotAllowed), (412, fly_api.NotAllowed), (429, Unavailable), (409, Unavailable), (500, Unavailable)],
)
def test_what_the_platform_refuses_may_succeed_later_or_never(status: int, kind: type[Exception]) -> None:
    """4xx are final, but for those that speak of time."""
    with platform() as fly:
        fly.status = status
        with pytest.raises(Unavailable, match=str(status)) as caught:
            fly_api.order(str(fly.path), "/v1/apps/shows/machines/m", "suspend")

        assert caught.type is kind
    with pytest.raises(Unavailable, match="does not answer"):
        fly_api.order("/nowhere", "/v1/apps/shows/machines/m", "suspend")


# Hooks


def hooks_run(tmp_path: Path, *hooks: HookPlan, turns: int = 4) -> str:
    """Run some here; why one failed."""
    around = Surroundings(inherited(os.environ), str(tmp_path), tmp_path / "logs/hook.log")
    return asyncio.run(run_hooks(hooks, around, asyncio.Semaphore(turns)))


def shell(text: str, timeout: float = 10.0, retry: int = 0) -> HookPlan:
    """A hook that a shell reads."""
    return HookPlan("idle", ("/bin/sh", "-c", text), timeout, retry)


def test_hooks_of_an_event_run_at_once_within_their_turns(tmp_path: Path) -> None:
    """Each waits for the other; with one turn that would take for ever."""
    pair = [shell(f"touch {a}; until [ -e {b} ]; do sleep 0.01; done", 2.0) for a, b in (("a", "b"), ("b", "a"))]

    assert hooks_run(tmp_path, *pair) == ""
    for each in ("a", "b"):
        (tmp_path / each).unlink()
    assert "took longer than 2 s" in hooks_run(tmp_path, *pair, turns=1)


def test_a_hook_is_killed_with_all_below_it(tmp_path: Path) -> None:
    """Also what left its group."""
    began = time.monotonic()
    said = hooks_run(tmp_path, shell("sleep 60 & echo $! > one; setsid sleep 60 & sleep 0.1; echo $! > two; wait", 1.0))

    assert "took longer than 1 s" in said
    assert time.monotonic() - began < 30
    for name in ("one", "two"):
        pid = int((tmp_path / name).read_text())
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]


def test_a_hook_that_fails_is_run_again_and_says_why(tmp_path: Path) -> None:
    """As often as it may."""
    assert hooks_run(tmp_path, shell("echo x >> tries; [ $(wc -l < tries) = 2 ]", retry=1)) == ""
    said = hooks_run(tmp_path, shell("echo no luck >&2; exit 3"))
    assert "ended with 3" in said
    assert "no luck" in said
    assert "could not be started" in hooks_run(tmp_path, HookPlan("idle", ("/no/such/program",), 1.0, 0))
    assert "no luck" in (tmp_path / "logs/hook.log").read_text()
