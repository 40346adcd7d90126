"""What the agent learns by looking: events of supervisord, what ran before it, and who is idle."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
import xmlrpc.client
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from atcgen.agent import lifecycle as life
from atcgen.agent.execute import explained, tidy
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.service import Service
from atcgen.agent.touched import touched
from atcgen.agent.zygotes import is_zygote
from atcgen.compiler.render import PREPARE_SLOT
from atcgen.errors import Unavailable
from atcgen.system.connections import Connections
from atcgen.system.logs import last_admitted, rotate_nginx_logs
from atcgen.system.processes import lives

log = logging.getLogger("atc.agent")

_ENDED = frozenset({"PROCESS_STATE_EXITED", "PROCESS_STATE_STOPPED", "PROCESS_STATE_FATAL"})
_ROTATE_EVERY = 60  # seconds
_RECONCILE_EVERY = 5
_MEASURE_EVERY = 5


def process_event(service: Service, name: str, fields: dict[str, str]) -> None:
    """An event of supervisord, by its name and the fields of its payload."""
    group, process, pid = fields.get("groupname", ""), fields.get("processname", ""), int(fields.get("pid") or 0)
    keeper = service.keepers.get(group)
    custodian = service.custodian(group)
    if custodian and name in _ENDED:
        custodian.replica_ended(pid)
    elif custodian and pid:
        custodian.replica_began(pid)
        _hurry(service, pid)
    elif is_zygote(group):
        _of_zygote(service, group, pid, ended=name in _ENDED, expected=fields.get("expected") == "1")
    elif keeper is None:
        if name in _ENDED:
            service.own_pids.pop((group, process), None)
        elif pid:
            service.own_pids[group, process] = pid
        if service.builds.has(group):
            service.builds.changed(group)
            if pid and name not in _ENDED:
                _hurry(service, pid)
    elif name in _ENDED:
        keeper.pids.pop(int(process), None)
        if not service.is_ending:
            _ended(service, keeper, int(process), pid, expected=fields.get("expected") == "1")
    elif pid:
        _learn(service, keeper, int(process), pid)


def _of_zygote(service: Service, program: str, pid: int, *, ended: bool, expected: bool) -> None:
    if ended:
        service.zygotes.ended(program, expected=expected or service.is_ending)
    elif pid:
        service.zygotes.began(program, pid)
        _hurry(service, pid)


def _learn(service: Service, keeper: Keeper, slot: int, pid: int) -> None:
    keeper.pids[slot] = pid
    _hurry(service, pid)


def _hurry(service: Service, pid: int) -> None:
    """Let supervisord notice the end of a process at once: alone it looks once a second."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:  # it ended already, or the kernel is older than 5.3
        return
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        service.tasks.start(asyncio.to_thread(service.supervisor.poke))

    loop.add_reader(descriptor, ended)


def _ended(service: Service, keeper: Keeper, slot: int, pid: int, *, expected: bool) -> None:
    now = service.clock()
    if slot == PREPARE_SLOT:
        if expected:
            service.feed(keeper, life.Prepared(now))
            return
        if keeper.custodian:
            keeper.custodian.suspect()
        if keeper.tenant.state is State.PREPARING:
            reason = explained(keeper, slot, "prepare failed")
            service.feed(keeper, life.Faulted(now, keeper.tenant.slot, reason))
        return
    if keeper.custodian and not _is_orderly(keeper, slot):
        keeper.custodian.suspect()
    if pid > 1:
        with suppress(OSError):
            os.killpg(pid, 9)  # what a killed parent leaves behind would hold its socket
    if keeper.probing and slot == keeper.tenant.slot and keeper.tenant.state in (State.STARTING, State.SWITCHING):
        keeper.probing.cancel()
    service.feed(keeper, life.Exited(now, slot, explained(keeper, slot, "the process ended")))
    if keeper.plan.private:
        service.tasks.start(tidy(keeper, slot))


def _is_orderly(keeper: Keeper, slot: int) -> bool:
    """Was it told to end, and did it before it was killed?"""
    asked = keeper.stop_asked.get(slot)
    return asked is not None and asyncio.get_running_loop().time() - asked < keeper.plan.stop_timeout


async def resume(service: Service) -> None:
    """Take over what runs already: after its own restart the agent knows what supervisord knows."""
    replicas = {}
    for each in await asyncio.to_thread(service.supervisor.processes):
        if not each.is_up:
            continue
        keeper = service.keepers.get(each.group)
        if service.custodian(each.group):
            replicas[each.group] = each.pid
            _hurry(service, each.pid)
        elif is_zygote(each.group):
            service.zygotes.began(each.group, each.pid)
        elif keeper is None:
            service.own_pids[each.group, each.name] = each.pid
            if service.builds.has(each.group):
                _hurry(service, each.pid)
        else:
            _learn(service, keeper, int(each.name), each.pid)
    # At once: a store that does not answer takes seconds to say so.
    await asyncio.gather(*(_resume_custody(each, replicas) for each in service.keepers.values()))
    for keeper in service.keepers.values():
        if keeper.pids:
            _resume(service, keeper, set(keeper.pids))
        elif keeper.plan.eager:
            service.feed(keeper, life.Requested(service.clock()))
        else:
            keeper.unlink()


async def _resume_custody(keeper: Keeper, replicas: dict[str, int]) -> None:
    custodian = keeper.custodian
    if custodian is None:
        return
    await custodian.resume(replicas.get(custodian.backup.program, 0), is_awake=bool(keeper.pids))
    if keeper.pids:
        custodian.protect()
    else:
        custodian.suspect()  # who knows how it ended
        custodian.let_go()


def _resume(service: Service, keeper: Keeper, slots: set[int]) -> None:
    now = service.clock()
    if PREPARE_SLOT in slots:
        keeper.tenant = replace(keeper.tenant, state=State.PREPARING, since=now)
        return
    current = keeper.linked_slot()
    if current in slots:
        others = slots - {current}
        keeper.tenant = replace(keeper.tenant, state=State.READY, slot=current, leaving=frozenset(others), since=now)
        keeper.is_up = True
        for other in others:
            service.tasks.start(service.retire(keeper, other))
    else:
        slot = min(slots)
        keeper.tenant = replace(keeper.tenant, state=State.STARTING, slot=slot, since=now)
        service.boot(keeper, slot)


async def watch_idleness(service: Service) -> None:
    """Once a second, stop tenants that nobody used for their idle time; now and then, what is done rarely."""
    for second in itertools.count(1):
        await asyncio.sleep(1)
        stop_idle(service, time.time())
        for keeper in touched(list(service.keepers.values())):
            log.info("tenant.touched tenant=%s", keeper.plan.id)
            keeper.last_wake = time.time()
            service.tasks.start(service.restart(keeper))
        end_idle_zygotes(service)
        if second % _RECONCILE_EVERY == 0:
            await reconcile(service)
        if second % _ROTATE_EVERY == 0:
            for keeper in service.keepers.values():
                keeper.last_wake = max(keeper.last_wake, keeper.last_access())  # the file that says so may go
            await asyncio.to_thread(rotate_nginx_logs, service.plan.paths)


async def watch_copies(service: Service) -> None:
    """Now and then, see whether the store falls behind; the log says so."""
    while True:
        await asyncio.sleep(_MEASURE_EVERY)
        await service.measure()


async def reconcile(service: Service) -> None:
    """Compare what is believed with what supervisord knows: an event that was lost must not be lost for ever."""
    believed = [(keeper, slot, pid) for keeper in service.keepers.values() for slot, pid in keeper.pids.items()]
    believed = [(keeper, slot, pid) for keeper, slot, pid in believed if not lives(pid)]
    if not believed:
        return  # supervisord is not asked, which takes it long where there are many programs
    try:
        found = {each.pid for each in await asyncio.to_thread(service.supervisor.processes) if each.is_up}
    except (Unavailable, xmlrpc.client.Fault):
        return  # it is busy, or going down
    for keeper, slot, pid in believed:
        if pid not in found and keeper.pids.get(slot) == pid:
            del keeper.pids[slot]
            _ended(service, keeper, slot, pid, expected=False)


def end_idle_zygotes(service: Service) -> None:
    """End the zygotes that have had no tenant awake for long, and those that nobody names any more."""
    wanted = {each.program for each in service.plan.zygotes}
    for program in service.zygotes.idle(service.keepers.values(), wanted):
        service.tasks.start(service.zygotes.end(program, forget=program not in wanted))


def stop_idle(service: Service, now: float) -> None:
    """Stop every tenant that is idle at `now`, in seconds of the epoch."""
    ready = [each for each in service.keepers.values() if each.tenant.state is State.READY and not each.plan.pin]
    if not ready:
        return
    connections = Connections()
    for keeper in ready:
        before, keeper.connected = keeper.connected, connections.which(keeper.address(keeper.tenant.slot))
        if keeper.connected & before:
            keeper.last_wake = now
        elif not keeper.connected and now - _last_used(keeper, now) >= keeper.plan.idle:
            service.feed(keeper, life.StopAsked(service.clock()))


def _last_used(keeper: Keeper, now: float) -> float:
    """When somebody used a tenant last. Who was refused for want of a login did not; the log tells, when it matters."""
    idle, written = keeper.plan.idle, keeper.last_access()
    if now - keeper.last_wake >= idle > now - written:
        keeper.last_wake = max(keeper.last_wake, last_admitted(Path(keeper.plan.access_log), keeper.last_wake))
        return keeper.last_wake
    return max(keeper.last_wake, written)
