"""Commands of the lifecycle that take time: prepare, boot, drain, stop. Each ends in an event."""

from __future__ import annotations

import asyncio
import logging
import xmlrpc.client
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from atcgen.agent import lifecycle as life
from atcgen.agent.building import BuildFailed, Builds
from atcgen.agent.hooks import Hooks
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.tasks import Once
from atcgen.agent.zygotes import Zygotes
from atcgen.compiler.render import PREPARE_SLOT
from atcgen.errors import AtcError, Unavailable
from atcgen.system import private
from atcgen.system.connections import Connections
from atcgen.system.directories import make_tenant_directories
from atcgen.system.logs import size_of, tail_since, tenant_log
from atcgen.system.probe import wait_until_ready
from atcgen.system.processes import joined, treat_as_others
from atcgen.system.release import Releases, is_up_to_date, mark_pending
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
    boots: asyncio.Semaphore  # how many tenants may prepare or boot at once
    releases: Releases
    clock: Callable[[], float]  # seconds, monotonic
    worker_user: str  # whom nginx's workers run as
    hooks: Hooks
    builds: Builds
    zygotes: Zygotes


async def prepare(keeper: Keeper, machine: Machine) -> life.Event | None:
    """Run the prepare step when it is due; its end comes as a process event, unless it takes too long."""
    plan, begun = keeper.plan, keeper.tenant
    keeper.waits_for_owner, keeper.copied = False, ""

    def is_over(now: life.Tenant) -> bool:
        return now.state is not State.PREPARING or now.since != begun.since

    try:
        make_tenant_directories(plan, machine.worker_user)
        problem = await build(keeper, machine)
        if is_over(keeper.tenant):
            return None
        if problem:
            return life.Faulted(machine.clock(), begun.slot, problem)
        await _claim(keeper)
        if not plan.prepare:
            return life.Prepared(machine.clock())
        stamp = await machine.releases.stamp(plan)
        if await is_up_to_date(plan, stamp):
            return life.Prepared(machine.clock())
        async with _turn(machine, keeper, PREPARE_SLOT):
            if is_over(keeper.tenant):
                return None
            await provide(keeper, PREPARE_SLOT, machine)
            mark_pending(plan, stamp)
            await _spawn(keeper, PREPARE_SLOT, machine.supervisor)
            async with asyncio.timeout(plan.prepare_timeout):
                await keeper.until(is_over)
    except TimeoutError:
        return life.Faulted(machine.clock(), begun.slot, f"prepare took longer than {plan.prepare_timeout:g} s")
    except AtcError as problem:
        retry_in = getattr(problem, "seconds", life.LONGEST_BACKOFF)  # how long somebody else has its databases yet
        return life.Faulted(machine.clock(), begun.slot, str(problem), retry_in)
    except _TROUBLE as problem:
        return life.Faulted(machine.clock(), begun.slot, f"prepare could not be started: {problem}")
    return None


async def build(keeper: Keeper, machine: Machine) -> str:
    """Have the release built that its next process starts from; why that failed, '' when it did not."""
    keeper.builds = True
    try:
        await machine.builds.ensure(keeper.plan)
    except BuildFailed as problem:
        return str(problem)
    finally:
        keeper.builds = False
    return ""


async def _claim(keeper: Keeper) -> None:
    """Have its databases here; note whether it is another machine that has them."""
    if keeper.custodian is None:
        return
    keeper.claims = True
    try:
        await keeper.custodian.claim()
    except AtcError as problem:
        keeper.waits_for_owner = hasattr(problem, "seconds")
        raise
    finally:
        keeper.claims = False


async def end_prepare(keeper: Keeper, machine: Machine) -> None:
    """End a prepare step that goes on after its time; it is down already in most cases."""
    with suppress(*_TROUBLE):
        await asyncio.to_thread(machine.supervisor.stop, keeper.plan.program, PREPARE_SLOT)


async def boot(keeper: Keeper, slot: int, machine: Machine) -> life.Event:
    """Start the process of a slot and wait until it answers."""
    plan = keeper.plan
    try:
        problem = await _run_start_hooks(keeper, slot, machine)
    except _TROUBLE as trouble:
        problem = f"could not be started: {trouble}"
    if problem:
        return life.Faulted(machine.clock(), slot, problem)
    async with _turn(machine, keeper, slot):
        try:
            make_tenant_directories(plan, machine.worker_user)
            await provide(keeper, slot, machine)
            await _spawn(keeper, slot, machine.supervisor)
        except _TROUBLE as problem:  # whatever it is, those who wait must hear of it
            return life.Faulted(machine.clock(), slot, f"could not be started: {problem}")
        reason = await wait_until_ready(
            keeper.address(slot), plan.health, declared=plan.health_declared, within=plan.start_timeout
        )
    if reason:
        return life.Faulted(machine.clock(), slot, explained(keeper, slot, reason))
    _treat_as_others(machine, keeper, slot)
    if keeper.custodian:
        keeper.custodian.protect()  # not earlier: two programs that begin at once keep each other waiting
    return life.Probed(machine.clock(), slot)


async def _run_start_hooks(keeper: Keeper, slot: int, machine: Machine) -> str:
    """Those of a tenant whose process does not boot already, and why one failed."""
    if slot in keeper.pids or not any(each.event == "start" for each in keeper.plan.hooks):
        return ""
    make_tenant_directories(keeper.plan, machine.worker_user)
    return await machine.hooks.tenant(keeper.plan, "start")


@asynccontextmanager
async def _turn(machine: Machine, keeper: Keeper, slot: int) -> AsyncIterator[None]:
    """A turn among those that prepare or boot at once, behind all that is not in it.

    It ends after as long as boots usually take, whatever goes on then: one that hangs holds up nobody.
    """
    await machine.boots.acquire()
    loop = asyncio.get_running_loop()
    with Once(machine.boots.release) as end_of_turn:
        loop.call_later(_TURN, end_of_turn)
        politeness = loop.call_later(_POLITE, _treat_as_others, machine, keeper, slot)
        try:
            yield
        finally:
            politeness.cancel()


def _treat_as_others(machine: Machine, keeper: Keeper, slot: int) -> None:
    """Give a process that boots behind all others its usual place among them."""
    if keeper.plan.boots_behind and slot in keeper.pids:
        pid, preload = keeper.pids[slot], keeper.plan.preload
        treat_as_others(pid, *(joined(pid, machine.zygotes.pid(preload)) if preload else ()))


async def provide(keeper: Keeper, slot: int, machine: Machine) -> None:
    """Have what of the release is the tenant's own for the process that is about to start in a slot."""
    if keeper.plan.private:
        is_copied = keeper.plan.private.by == "copy"
        release = keeper.copied or (await machine.releases.name(keeper.plan) if is_copied else "")
        keeper.copied = release if slot == PREPARE_SLOT else ""  # what is prepared for is what starts
        async with keeper.provides:
            keeper.provided.add(slot)
            await asyncio.to_thread(private.provide, keeper.plan, slot, release, keeper.busy())


async def tidy(keeper: Keeper, slot: int) -> None:
    """Remove the copies of releases in which no process of the tenant runs any more: the one of a slot has ended."""
    keeper.provided.discard(slot)
    async with keeper.provides:
        await asyncio.to_thread(private.tidy, keeper.plan, keeper.busy())


async def _spawn(keeper: Keeper, slot: int, supervisor: Supervisor) -> None:
    keeper.stop_asked.pop(slot, None)
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
    while clock() < (min(deadline, patience) if keeper.waiting else deadline) and Connections().to(address):
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, 0.25)


async def stop(keeper: Keeper, slot: int, machine: Machine) -> life.Event | None:
    """End the process of a slot; an event only if it was down already, for then no process event says so."""
    program = keeper.plan.program
    keeper.stop_asked[slot] = asyncio.get_running_loop().time()
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
