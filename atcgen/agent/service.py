"""The shell around the lifecycle: runs its commands, feeds it events, holds and releases requests."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State
from atcgen.agent.tasks import Tasks
from atcgen.compiler.plan import Plan, TenantPlan
from atcgen.compiler.render import PREPARE_SLOT
from atcgen.errors import Unavailable
from atcgen.system.connections import open_connections
from atcgen.system.probe import Address, listens, wait_until_ready
from atcgen.system.release import is_prepared, mark_pending
from atcgen.system.supervisor import Supervisor

log = logging.getLogger("atc.agent")


class Keeper:
    """One tenant: its state, the requests that wait for it, and the tasks that work for it."""

    def __init__(self, plan: TenantPlan) -> None:
        self.plan = plan
        self.tenant = life.Tenant(plan.id, plan.slots, bool(plan.prepare), plan.pin)
        self.waiting: set[asyncio.Future[bool]] = set()
        self.probing: asyncio.Task[object] | None = None
        self.last_wake = time.time()
        self.changed = asyncio.Event()

    def take(self, plan: TenantPlan) -> None:
        """Work by a new plan from now on."""
        self.plan = plan
        self.tenant = replace(self.tenant, slots=plan.slots, prepares=bool(plan.prepare), pinned=plan.pin)

    def address(self, slot: int) -> Address:
        """Where the process of a slot listens."""
        return Address(port=self.plan.port) if self.plan.port else Address(socket=self.plan.socket(slot))

    async def until(self, state: State) -> None:
        """Wait until the tenant is in a state."""
        while self.tenant.state is not state:
            self.changed.clear()
            await self.changed.wait()

    def release(self, *, admitted: bool) -> None:
        """Answer everybody who waits."""
        for each in self.waiting:
            if not each.done():
                each.set_result(admitted)
        self.waiting.clear()


class Service:
    """All tenants of the machine."""

    def __init__(self, plan: Plan, supervisor: Supervisor, clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.supervisor = supervisor
        self.clock = clock
        self.tasks = Tasks()
        self.keepers = {each.program: Keeper(each) for each in plan.tenants}
        self.boots = asyncio.Semaphore(plan.server.boots)

    # Requests

    async def admit(self, program: str) -> tuple[str, float]:
        """Hold a request until its tenant is ready; the verdict, and after how many seconds to ask again."""
        keeper = self.keepers.get(program)
        if keeper is None:
            return "unknown", 0
        if len(keeper.waiting) >= self.plan.server.max_waiting:
            return "starting", 5
        await self._notice_a_dead_process(keeper)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        keeper.waiting.add(future)
        keeper.last_wake = time.time()
        self.feed(keeper, life.Requested(self.clock()))
        try:
            admitted = await asyncio.wait_for(future, self.plan.server.hold)
        except TimeoutError:
            return "starting", 2
        finally:
            keeper.waiting.discard(future)
        if admitted:
            return "ready", 0
        return "failed", max(1.0, keeper.tenant.retry_at - self.clock())

    async def _notice_a_dead_process(self, keeper: Keeper) -> None:
        """A request comes here only when nginx found nobody; believe it, after a look."""
        tenant = keeper.tenant
        if tenant.state is State.READY and not await listens(keeper.address(tenant.slot)) and keeper.tenant == tenant:
            self.feed(keeper, life.Exited(self.clock(), tenant.slot, "the process was gone"))

    # The machine

    def feed(self, keeper: Keeper, event: life.Event) -> None:
        """Let something happen to a tenant, and do what follows from it."""
        before = keeper.tenant
        keeper.tenant, commands = life.step(before, event)
        if keeper.tenant.state is not before.state:
            keeper.changed.set()
            said = f" reason={keeper.tenant.reason!r}" if keeper.tenant.reason else ""
            log.info("tenant.%s tenant=%s from=%s%s", keeper.tenant.state, before.id, before.state, said)
        for command in commands:
            self._run(keeper, command)

    def _run(self, keeper: Keeper, command: life.Command) -> None:
        match command:
            case life.Admit():
                keeper.release(admitted=True)
            case life.Refuse():
                keeper.release(admitted=False)
            case life.Link(slot):
                link(keeper.plan, slot)
            case life.Unlink():
                if keeper.plan.link:
                    Path(keeper.plan.link).unlink(missing_ok=True)
            case life.Prepare():
                self.tasks.start(self._prepare(keeper))
            case life.Start(slot):
                keeper.probing = self.tasks.start(self._boot(keeper, slot))
            case life.Drain(slot):
                self.tasks.start(self._drain(keeper, slot))
            case life.Stop(slot):
                self.tasks.start(self._stop(keeper, slot))
            case life.Retire(slot):
                self.tasks.start(self._retire(keeper, slot))

    async def _prepare(self, keeper: Keeper) -> None:
        plan = keeper.plan
        try:
            Path(plan.directory).mkdir(parents=True, exist_ok=True)
            if await asyncio.to_thread(is_prepared, plan):
                self.feed(keeper, life.Prepared(self.clock()))
                return
            await asyncio.to_thread(mark_pending, plan)
            await asyncio.to_thread(self.supervisor.start, plan.program, PREPARE_SLOT)
        except (OSError, Unavailable) as problem:
            self.feed(keeper, life.Faulted(self.clock(), keeper.tenant.slot, str(problem)))

    async def _boot(self, keeper: Keeper, slot: int) -> None:
        plan = keeper.plan
        reason = ""
        async with self.boots:
            try:
                Path(plan.directory).mkdir(parents=True, exist_ok=True)
                Path(plan.socket_directory).mkdir(parents=True, exist_ok=True)
                await asyncio.to_thread(self.supervisor.start, plan.program, slot)
            except Exception as problem:  # whatever it is, those who wait must hear of it
                reason = str(problem)
            else:
                reason = await wait_until_ready(
                    keeper.address(slot), plan.health, declared=plan.health_declared, timeout=plan.start_timeout
                )
        if reason:
            self.feed(keeper, life.Faulted(self.clock(), slot, reason))
            return
        if plan.niceness:
            process = await asyncio.to_thread(self.supervisor.process, plan.program, slot)
            with suppress(OSError):
                os.setpriority(os.PRIO_PGRP, process.pid, 0)
        self.feed(keeper, life.Probed(self.clock(), slot))

    async def _drain(self, keeper: Keeper, slot: int) -> None:
        await self._quiet(keeper, slot)
        if keeper.tenant.state is State.DRAINING and keeper.tenant.slot == slot:
            self.feed(keeper, life.Drained(self.clock()))

    async def _quiet(self, keeper: Keeper, slot: int) -> None:
        """Wait until no connection is open on a slot's socket, or the time for that is over."""
        deadline = self.clock() + keeper.plan.drain_timeout
        pause = 0.01
        while self.clock() < deadline and self.connections(keeper, slot):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.25)

    def connections(self, keeper: Keeper, slot: int) -> int:
        """How many connections are open on a slot."""
        by_path, by_port = open_connections()
        if keeper.plan.port:
            return by_port[keeper.plan.port]
        # A connection that came through the symlink is listed by the path that was bound.
        return by_path[keeper.plan.socket(slot)]

    async def _stop(self, keeper: Keeper, slot: int) -> None:
        if keeper.probing:
            keeper.probing.cancel()
        try:
            await asyncio.to_thread(self.supervisor.stop, keeper.plan.program, slot)
            if keeper.plan.prepare:
                await asyncio.to_thread(self.supervisor.stop, keeper.plan.program, PREPARE_SLOT)
            process = await asyncio.to_thread(self.supervisor.process, keeper.plan.program, slot)
        except Exception as problem:
            log.error("stop failed tenant=%s: %s", keeper.plan.id, problem)
            return
        if not process.is_up:  # it was down already, and no event will say so
            self.feed(keeper, life.Exited(self.clock(), slot, "stopped"))

    async def _retire(self, keeper: Keeper, slot: int) -> None:
        await self._quiet(keeper, slot)
        with suppress(Unavailable):
            await asyncio.to_thread(self.supervisor.stop, keeper.plan.program, slot)

    # What supervisord says

    def process_event(self, name: str, fields: dict[str, str]) -> None:
        """A PROCESS_STATE event."""
        keeper = self.keepers.get(fields.get("groupname", ""))
        if keeper is None or name not in ("PROCESS_STATE_EXITED", "PROCESS_STATE_STOPPED", "PROCESS_STATE_FATAL"):
            return
        slot, expected = int(fields["processname"]), fields.get("expected") == "1"
        if slot == PREPARE_SLOT:
            if name == "PROCESS_STATE_EXITED" and expected:
                self.feed(keeper, life.Prepared(self.clock()))
            else:
                self.feed(keeper, life.Faulted(self.clock(), keeper.tenant.slot, "prepare failed; see its log"))
            return
        pid = int(fields.get("pid", 0) or 0)
        if pid > 1:
            with suppress(OSError):
                os.killpg(pid, 9)  # what a killed parent leaves behind would hold its socket
        if keeper.probing and slot == keeper.tenant.slot and keeper.tenant.state in (State.STARTING, State.SWITCHING):
            keeper.probing.cancel()
        self.feed(keeper, life.Exited(self.clock(), slot, "the process ended"))

    async def resume(self) -> None:
        """Take over what runs already: after its own restart the agent knows what supervisord knows."""
        running: dict[str, set[int]] = {}
        for each in await asyncio.to_thread(self.supervisor.processes):
            if each.is_up and each.group in self.keepers:
                running.setdefault(each.group, set()).add(int(each.name))
        for program, slots in running.items():
            keeper = self.keepers[program]
            self._resume(keeper, slots)
        for keeper in self.keepers.values():
            if keeper.plan.eager and keeper.tenant.state is State.STOPPED:
                self.feed(keeper, life.Requested(self.clock()))

    def _resume(self, keeper: Keeper, slots: set[int]) -> None:
        now = self.clock()
        if PREPARE_SLOT in slots:
            keeper.tenant = replace(keeper.tenant, state=State.PREPARING, since=now)
            return
        current = linked_slot(keeper.plan)
        if current in slots:
            keeper.tenant = replace(keeper.tenant, state=State.READY, slot=current, since=now)
            for other in slots - {current}:
                self._run(keeper, life.Retire(other))
        else:
            slot = min(slots)
            keeper.tenant = replace(keeper.tenant, state=State.STARTING, slot=slot, since=now)
            keeper.probing = self.tasks.start(self._boot(keeper, slot))

    # Idleness

    async def watch_idleness(self) -> None:
        """Once a second, stop tenants that nobody used for their idle time."""
        while True:
            await asyncio.sleep(1)
            ready = [each for each in self.keepers.values() if each.tenant.state is State.READY and not each.plan.pin]
            if not ready:
                continue
            now = time.time()
            by_path, by_port = open_connections()
            for keeper in ready:
                plan = keeper.plan
                busy = by_port[plan.port] if plan.port else by_path[plan.socket(keeper.tenant.slot)]
                if busy:
                    keeper.last_wake = now
                elif now - max(keeper.last_wake, last_access(plan)) >= plan.idle:
                    self.feed(keeper, life.StopAsked(self.clock()))


def last_access(plan: TenantPlan) -> float:
    """When the last request of a tenant ended, in seconds of the epoch; 0 when there was none."""
    try:
        return os.stat(plan.access_log).st_mtime
    except OSError:
        return 0.0


def link(plan: TenantPlan, slot: int) -> None:
    """Point the tenant's socket to the process of a slot, atomically."""
    if not plan.link:
        return
    os.chmod(plan.socket(slot), 0o666)  # the directory keeps others out
    fresh = Path(plan.socket_directory, "next")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(f"{slot}.sock")
    fresh.replace(plan.link)


def linked_slot(plan: TenantPlan) -> int | None:
    """The slot the tenant's socket points to; a tenant with a port has only one."""
    if not plan.link:
        return 0
    try:
        return int(os.readlink(plan.link).split(".")[0])
    except (OSError, ValueError):
        return None
