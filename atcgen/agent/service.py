"""The shell around the lifecycle: runs its commands, feeds it events, holds and releases requests."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from atcgen.agent import execute
from atcgen.agent import lifecycle as life
from atcgen.agent.building import Builds
from atcgen.agent.execute import Machine
from atcgen.agent.hooks import Hooks
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.tasks import Tasks
from atcgen.agent.waiting import Verdict, retry_after
from atcgen.agent.zygotes import Zygotes
from atcgen.compiler.names import REPLICA
from atcgen.compiler.plan import Plan, TenantPlan
from atcgen.system.probe import listens, status_of
from atcgen.system.release import Releases, is_up_to_date
from atcgen.system.supervisor import Supervisor

if TYPE_CHECKING:
    from atcgen.replica.custodian import Custodian
    from atcgen.replica.site import Site

log = logging.getLogger("atc.agent")

_LONG_FOR_A_HEALTH_CHECK = 2.0
_BETWEEN_LOOKS = 0.005
_CONTROL = re.compile(r"[^\n\t -~\u00a0-\U0010ffff]")  # what would make a terminal do things


class Service:
    """All tenants of the machine."""

    def __init__(
        self,
        plan: Plan,
        supervisor: Supervisor,
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.plan = plan
        self.supervisor = supervisor
        self.clock = clock
        self.tasks = Tasks()
        self.site: Site | None = None
        if plan.store.url and environ is not None:
            from atcgen.replica.site import site  # noqa: PLC0415 - costs memory, and only those who copy need it

            self.site = site(plan.store, Path(plan.paths.state), supervisor, environ, self.tasks.start, plan.instance)
        self.keepers: dict[str, Keeper] = {}
        for each in plan.tenants:
            self.introduce(each)
        self.own_pids: dict[tuple[str, str], int] = {}  # (group, name) of what is not a tenant -> process id
        self.is_ending = False
        boots = asyncio.Semaphore(plan.server.boots)
        self.hooks = Hooks(plan, environ or {})
        releases = Releases()
        self.builds = Builds(plan, supervisor, releases, clock)
        self.zygotes = Zygotes(supervisor, clock)
        user, hooks = plan.server.worker_user, self.hooks
        self.machine = Machine(supervisor, boots, releases, clock, user, hooks, self.builds, self.zygotes)

    def introduce(self, plan: TenantPlan) -> None:
        """Know a tenant; one that is known already stays as it is."""
        if plan.program not in self.keepers:
            self.keepers[plan.program] = Keeper(plan, self._custodian(plan))

    def _custodian(self, plan: TenantPlan) -> Custodian | None:
        if self.site is None or plan.backup is None:
            return None
        from atcgen.replica.custodian import Custodian  # noqa: PLC0415 - the same
        from atcgen.replica.renewal import Processes  # noqa: PLC0415

        def send(number: signal.Signals) -> None:
            self.keepers[plan.program].signal(number)

        processes = Processes(
            kill=lambda _: send(signal.SIGKILL), halt=lambda: send(signal.SIGSTOP), go_on=lambda: send(signal.SIGCONT)
        )
        return Custodian(plan, self.site, processes)

    def look_at_the_clock(self) -> None:
        """Time may have gone on while this machine stood still."""
        for each in self.keepers.values():
            if each.custodian:
                each.custodian.look_at_the_clock()

    def forgive_the_clock(self) -> None:
        """A clock that was set may say that nobody used a tenant for hours: what is awake counts as used now."""
        for each in self.keepers.values():
            if each.tenant.state in life.AWAKE:
                each.last_wake = time.time()

    def take(self, plan: Plan) -> None:
        """Work by a new plan from now on; tenants take theirs one by one."""
        if plan.server.boots != self.plan.server.boots:
            self.machine = replace(self.machine, boots=asyncio.Semaphore(plan.server.boots))
        self.hooks.take(plan)
        self.builds.take(plan)
        self.plan = plan

    def custodian(self, group: str) -> Custodian | None:
        """Whose copies a program of supervisord makes."""
        keeper = self.keepers.get(group.removeprefix(REPLICA)) if group.startswith(REPLICA) else None
        return keeper.custodian if keeper else None

    async def measure(self) -> None:
        """Look how far the copies of every tenant are."""
        await asyncio.gather(*(each.custodian.copies.measure() for each in self.keepers.values() if each.custodian))

    # Requests

    async def admit(self, program: str) -> Verdict:
        """Hold a request until its tenant is ready, or refuse it."""
        keeper = self.keepers.get(program)
        if keeper is None:
            return Verdict("unknown")
        if len(keeper.waiting) >= self.plan.server.max_waiting:
            return Verdict("starting", 5, keeper.stage())
        await self._notice_a_dead_process(keeper)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        keeper.waiting.add(future)
        keeper.last_wake = keeper.last_asked = time.time()
        self.feed(keeper, life.Requested(self.clock()))
        try:
            admitted = await asyncio.wait_for(future, self.plan.server.hold)
        except TimeoutError:
            return Verdict("starting", retry_after(keeper.restoring()), keeper.stage())
        finally:
            keeper.waiting.discard(future)
        if admitted:
            return Verdict("ready")
        word = "starting" if keeper.waits_for_owner else "failed"
        return Verdict(word, max(1.0, keeper.tenant.retry_at - self.clock()), keeper.stage())

    async def _notice_a_dead_process(self, keeper: Keeper) -> None:
        """A request comes here only when nginx found nobody, or lost the process: look until it is clear who is there.

        A process that dies still listens for a moment; only an answer proves that it lives.
        """
        tenant = keeper.tenant
        while tenant.state is State.READY and keeper.tenant == tenant:
            address = keeper.address(tenant.slot)
            try:
                await asyncio.wait_for(status_of(address, keeper.plan.health), _LONG_FOR_A_HEALTH_CHECK)
            except TimeoutError:
                return  # busy, not dead
            except (OSError, EOFError):
                if listens(address):
                    await asyncio.sleep(_BETWEEN_LOOKS)
                elif keeper.tenant == tenant:
                    self.feed(keeper, life.Exited(self.clock(), tenant.slot, "the process was gone"))
            else:
                return

    # The lifecycle

    def feed(self, keeper: Keeper, event: life.Event) -> None:
        """Let something happen to a tenant, and do what follows from it."""
        before = keeper.tenant
        keeper.tenant, commands = life.step(before, event)
        if keeper.tenant is not before:
            keeper.tell()
        if keeper.tenant.state is not before.state:
            keeper.tally = keeper.tally.moved(before.state, keeper.tenant.state, self.clock())
            if keeper.tenant.state is State.READY:
                keeper.last_wake = time.time()  # its idle time begins, however long the start took
            _report(before, keeper.tenant)
            self._run_hooks(keeper)
        for command in commands:
            self._run(keeper, command)
        self._let_go_if_down(keeper)

    def _run_hooks(self, keeper: Keeper) -> None:
        """Those of who answers, or does no more, each once; nobody waits for them."""
        state, event = keeper.tenant.state, ""
        if state is State.READY and not keeper.is_up:
            event = "ready"
        elif state in (State.STOPPED, State.FAILED) and keeper.is_up:
            event = "stop"
        if event:
            keeper.is_up = event == "ready"
            if any(each.event == event for each in keeper.plan.hooks) and not self.is_ending:
                self.tasks.start(self.hooks.tenant(keeper.plan, event))

    def _let_go_if_down(self, keeper: Keeper) -> None:
        if keeper.custodian and not keeper.pids and keeper.tenant.state in (State.STOPPED, State.FAILED):
            keeper.custodian.let_go()

    def _run(self, keeper: Keeper, command: life.Command) -> None:
        match command:
            case life.Admit():
                keeper.release(admitted=True)
            case life.Refuse():
                keeper.release(admitted=False)
            case life.Link(slot):
                keeper.link(slot)
            case life.Unlink():
                keeper.unlink()
            case life.Prepare():
                self.tasks.start(self._prepare(keeper))
            case life.Start(slot):
                self.boot(keeper, slot)
            case life.Drain(slot):
                self.tasks.start(self._drain(keeper, slot))
            case life.Stop(slot):
                self.tasks.start(self._stop(keeper, slot))
            case life.Retire(slot):
                self.tasks.start(self.retire(keeper, slot))

    async def _prepare(self, keeper: Keeper) -> None:
        event = await execute.prepare(keeper, self.machine)
        if event:
            self.feed(keeper, event)
        else:  # it may have been stopped while its databases were claimed
            self._let_go_if_down(keeper)
        if isinstance(event, life.Faulted):
            await execute.end_prepare(keeper, self.machine)

    def boot(self, keeper: Keeper, slot: int) -> None:
        """Start the process of a slot, or go on probing one that boots already."""

        async def work() -> None:
            event = await execute.boot(keeper, slot, self.machine)
            self.feed(keeper, event)
            if isinstance(event, life.Probed) and not self.is_ending:
                self.tasks.start(self.zygotes.rouse(keeper.plan))

        keeper.probing = self.tasks.start(work())

    async def restart(self, keeper: Keeper) -> None:
        """Bring a new process up; databases that have to be prepared first are not served meanwhile.

        While a new release is built, the old process goes on; if that fails, it does for good.
        """
        if keeper.tenant.state in (State.READY, State.SWITCHING):
            problem = await execute.build(keeper, self.machine)
            if problem:
                self.feed(keeper, life.RestartRefused(self.clock(), problem))
                return
        plan = keeper.plan
        hold = bool(plan.prepare) and not await is_up_to_date(plan, await self.machine.releases.stamp(plan))
        keeper.tally = keeper.tally.restarted()
        self.feed(keeper, life.RestartAsked(self.clock(), hold=hold))

    async def _drain(self, keeper: Keeper, slot: int) -> None:
        await execute.quiet(keeper, slot)
        if keeper.tenant.state is State.DRAINING and keeper.tenant.slot == slot:
            self.feed(keeper, life.Drained(self.clock()))

    async def _stop(self, keeper: Keeper, slot: int) -> None:
        if keeper.probing:
            keeper.probing.cancel()
        event = await execute.stop(keeper, slot, self.machine)
        if event:
            self.feed(keeper, event)

    async def retire(self, keeper: Keeper, slot: int) -> None:
        """End a process that is not the tenant's any more, once its connections are closed."""
        await execute.quiet(keeper, slot)
        event = await execute.stop(keeper, slot, self.machine)
        if event:
            self.feed(keeper, event)


def _report(before: life.Tenant, now: life.Tenant) -> None:
    """Log a change of state: why it failed in full, any other reason by its first line."""
    first, _, rest = now.reason.partition("\n")
    said = f" reason={first!r}" if first else ""
    log.info("tenant.%s tenant=%s from=%s%s", now.state, before.id, before.state, said)
    if now.state is State.FAILED and rest:
        log.info("what %s said last:\n%s", before.id, _CONTROL.sub("?", rest))
