"""The control socket: what `atc status|start|stop|restart` ask of the agent."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from contextlib import suppress
from datetime import datetime

from atcgen.agent import lifecycle as life
from atcgen.agent.apply import Applier
from atcgen.agent.converge import Converger
from atcgen.agent.describing import described, status, stored
from atcgen.agent.http import Answer, Request, as_json
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.machine_keeper import MachineKeeper
from atcgen.agent.service import Service
from atcgen.errors import AtcError

METRICS = "/metrics"
_PATIENCE = 5.0  # seconds
_SETTLED = frozenset({State.READY, State.FAILED, State.STOPPED})


def control_socket(path: str) -> socket.socket:
    """A listening socket that only the owner of the process can reach."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(before)
    sock.listen()
    return sock


async def control(
    service: Service, applier: Applier, converger: Converger, machine: MachineKeeper, request: Request
) -> Answer:
    """Answer one question: GET /status, or POST /start, /stop, /restart with the tenant's id as the body."""
    if request.method == "GET" and request.target == "/status":
        await service.measure()
        about = {"shared": converger.status(), "machine": machine.status(), "release": applier.roller.status()}
        return as_json(200, status(service, applier.problem) | about)
    if request.method == "GET" and request.target == METRICS:
        return metrics(service, applier)
    if request.method == "POST" and request.target == "/look":
        return await _look(service, request.body.decode(errors="replace"))
    if request.method == "POST" and request.target == "/release":
        return await _release(applier)
    if request.method == "POST" and request.target == "/rewind":
        return await _rewind(service, request)
    act = {"/start": _start, "/stop": _stop, "/restart": _restart}.get(request.target)
    if request.method != "POST" or act is None:
        return as_json(404, {"error": "no such thing"})
    name = request.body.decode(errors="replace")
    keeper = _keeper(service, name)
    if keeper is None:
        return _nobody(name)
    await machine.pass_gate()
    await act(service, keeper)
    return as_json(200, described(keeper))


def metrics(service: Service, applier: Applier) -> Answer:
    """For Prometheus; nobody is waited for, so copies are as they were seen last."""
    from atcgen.agent.metrics import CONTENT_TYPE, exposition  # noqa: PLC0415 - only those who collect them need it

    text = exposition(status(service, applier.problem))
    return Answer(200, {"Content-Type": CONTENT_TYPE}, text.encode())


def _keeper(service: Service, tenant: str) -> Keeper | None:
    return next((each for each in service.keepers.values() if each.plan.id == tenant), None)


def _nobody(name: str) -> Answer:
    return as_json(404, {"error": f"no tenant of this machine is called {name!r}"})


async def _look(service: Service, name: str) -> Answer:
    """`atc status TENANT`: all that is known of one, and what the store holds of it."""
    keeper = _keeper(service, name)
    if keeper is None:
        return _nobody(name)
    if keeper.custodian:
        await keeper.custodian.copies.measure()
    return as_json(200, described(keeper) | await stored(keeper))


async def _release(applier: Applier) -> Answer:
    """`atc release`: have tenants move to the directory that atc.yml names, also after one could not."""
    problem = await applier.apply_now()
    if problem:
        return as_json(409, {"error": problem})
    applier.roller.retry()
    return as_json(200, applier.roller.status())


async def _rewind(service: Service, request: Request) -> Answer:
    """`atc backup restore --in-place`: the body is JSON, with the tenant's id and `at` or `txid`."""
    said = json.loads(request.body)
    keeper = _keeper(service, said["id"])
    if keeper is None or keeper.custodian is None:
        return as_json(404, {"error": f"the databases of {said['id']!r} are not copied by this machine"})
    was_up = keeper.tenant.state in life.AWAKE
    async with keeper.lock:
        service.feed(keeper, life.StopAsked(service.clock(), hold=True))
        await keeper.until(lambda tenant: tenant.state is State.STOPPED and not tenant.leaving)
        try:
            at = datetime.fromisoformat(said["at"]) if said["at"] else None
            await keeper.custodian.rewind(at, said["txid"])
        except AtcError as problem:
            return as_json(409, {"error": str(problem)})
        finally:
            if was_up:
                service.feed(keeper, life.Requested(service.clock()))
            service.feed(keeper, life.Released(service.clock()))
    return as_json(200, described(keeper))


async def _start(service: Service, keeper: Keeper) -> None:
    keeper.last_wake = time.time()
    service.builds.forgive(keeper.plan.build)
    service.feed(keeper, life.Requested(service.clock(), forced=True))
    await keeper.until(lambda tenant: tenant.state in (State.READY, State.FAILED))


async def _stop(service: Service, keeper: Keeper) -> None:
    service.feed(keeper, life.StopAsked(service.clock()))
    with suppress(TimeoutError):  # somebody asks for it again and again
        async with asyncio.timeout(keeper.plan.drain_timeout + keeper.plan.stop_timeout + _PATIENCE):
            await keeper.until(lambda tenant: tenant.state is State.STOPPED)


async def _restart(service: Service, keeper: Keeper) -> None:
    if keeper.tenant.state not in life.AWAKE:
        await _start(service, keeper)
        return
    keeper.last_wake = time.time()
    service.builds.forgive(keeper.plan.build)
    await service.restart(keeper)
    await keeper.until(lambda tenant: tenant.state in _SETTLED and not tenant.due)
