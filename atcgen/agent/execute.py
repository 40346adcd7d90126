"""Commands of the lifecycle that take time: prepare, boot, drain, stop. Each ends in an event."""

from __future__ import annotations

import asyncio
import logging
import os
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from atcgen.agent import lifecycle as life
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.tasks import Once
from atcgen.compiler.render import PREPARE_SLOT
from atcgen.errors import Unavailable
from atcgen.system.connections import open_connections
from atcgen.system.directories import make_tenant_directories
from atcgen.system.logs import size_of, tail_since, tenant_log
from atcgen.system.probe import wait_until_ready
from atcgen.system.release import is_prepared, mark_pending
from atcgen.system.supervisor import Supervisor

log = logging.getLogger("atc.agent")

_TURN = 3.0  # seconds
_POLITE = 5.0  # seconds for which a boot takes only what others leave, lest it never ends on a busy machine
_DRAIN_WHILE_OTHERS_WAIT = 3.0
_TROUBLE = (OSError, KeyError, Unavailable, xmlrpc.client.Fault)


@dataclass(frozen=True)
class Machine:
    """What commands work with."""

    supervisor: Supervisor
    boots: asyncio.Semaphore  # how many tenants may boot at once
    clock: Callable[[], float]  # seconds, monotonic
    worker_user: str  # whom nginx's workers run as


async def prepare(keeper: Keeper, machine: Machine) -> life.Event | None:
    """Start the prepare step when it is due; its end comes as a process event, unless it takes too long."""
    plan, slot = keeper.plan, keeper.tenant.slot
    since = keeper.tenant.since
    try:
        await asyncio.to_thread(make_tenant_directories, plan, machine.worker_user)
        if await asyncio.to_thread(is_prepared, plan):
            return life.Prepared(machine.clock())
        await asyncio.to_thread(mark_pending, plan)
        await _spawn(keeper, PREPARE_SLOT, machine.supervisor)
    except _TROUBLE as problem:
        return life.Faulted(machine.clock(), slot, f"prepare could not be started: {problem}")
    await asyncio.sleep(plan.prepare_timeout)
    if keeper.tenant.state is not State.PREPARING or keeper.tenant.since != since:
        return None
    return life.Faulted(machine.clock(), slot, f"prepare took longer than {plan.prepare_timeout:g} s")


async def end_prepare(keeper: Keeper, machine: Machine) -> None:
    """End a prepare step that goes on after its time; it is down already in most cases."""
    with suppress(*_TROUBLE):
        await asyncio.to_thread(machine.supervisor.stop, keeper.plan.program, PREPARE_SLOT)


async def boot(keeper: Keeper, slot: int, machine: Machine) -> life.Event:
    """Start the process of a slot and wait until it answers.

    It has a turn among those that boot at once, for as long as boots usually take: one that hangs holds up nobody.
    """
    plan = keeper.plan
    await machine.boots.acquire()
    with Once(machine.boots.release) as end_of_turn:
        try:
            await asyncio.to_thread(make_tenant_directories, plan, machine.worker_user)
            await _spawn(keeper, slot, machine.supervisor)
        except _TROUBLE as problem:  # whatever it is, those who wait must hear of it
            return life.Faulted(machine.clock(), slot, f"could not be started: {problem}")
        loop = asyncio.get_running_loop()
        loop.call_later(_TURN, end_of_turn)
        politeness = loop.call_later(_POLITE, _treat_as_others, keeper, slot)
        try:
            reason = await wait_until_ready(
                keeper.address(slot), plan.health, declared=plan.health_declared, within=plan.start_timeout
            )
        finally:
            politeness.cancel()
    if reason:
        return life.Faulted(machine.clock(), slot, explained(keeper, slot, reason))
    _treat_as_others(keeper, slot)
    return life.Probed(machine.clock(), slot)


def _treat_as_others(keeper: Keeper, slot: int) -> None:
    """Give a process that boots behind all others its usual priority."""
    if keeper.plan.niceness and slot in keeper.pids:
        with suppress(OSError):
            os.setpriority(os.PRIO_PGRP, keeper.pids[slot], 0)


async def _spawn(keeper: Keeper, slot: int, supervisor: Supervisor) -> None:
    keeper.log_begins[slot] = size_of(tenant_log(keeper.plan, slot))
    await asyncio.to_thread(supervisor.start, keeper.plan.program, slot)


def explained(keeper: Keeper, slot: int, reason: str) -> str:
    """A reason, followed by the last lines the process wrote."""
    said = tail_since(tenant_log(keeper.plan, slot), keeper.log_begins.get(slot, 0))
    return f"{reason}\n{said}" if said else reason


async def quiet(keeper: Keeper, slot: int) -> None:
    """Wait until no connection is open on a slot's socket, or the time for that is over.

    It is over sooner when requests wait for the end: a page that only listens must not keep others from it.
    """
    clock = asyncio.get_running_loop().time
    deadline, patience = clock() + keeper.plan.drain_timeout, clock() + _DRAIN_WHILE_OTHERS_WAIT
    pause, address = 0.01, keeper.address(slot)
    while clock() < (min(deadline, patience) if keeper.waiting else deadline) and open_connections().to(address):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)


async def stop(keeper: Keeper, slot: int, machine: Machine) -> life.Event | None:
    """End the process of a slot; an event only if it was down already, for then no process event says so."""
    program = keeper.plan.program
    try:
        if keeper.plan.prepare:
            await asyncio.to_thread(machine.supervisor.stop, program, PREPARE_SLOT)
        process = await asyncio.to_thread(machine.supervisor.process, program, slot)
        if not process.is_up:
            return life.Exited(machine.clock(), slot, "stopped")
        await asyncio.to_thread(machine.supervisor.stop, program, slot)
    except _TROUBLE as problem:
        log.error("tenant.stop_failed tenant=%s reason=%s", keeper.plan.id, problem)
        return None
    return None
