"""The shell around the life of the machine: looks, closes and opens the gate, asks the platform."""

from __future__ import annotations

import asyncio
import logging
import time
import xmlrpc.client
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from atcgen.agent import machine_life as life
from atcgen.agent.machine_life import Machine, State
from atcgen.agent.resting import Visitors, Work, needed_for
from atcgen.agent.service import Service
from atcgen.errors import Unavailable
from atcgen.system import fly_api

log = logging.getLogger("atc.agent")

_PAUSE = 5.0  # seconds between two looks; who does not look for so long stood still
_CLOCKS = (time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME, time.CLOCK_REALTIME)


@dataclass(frozen=True)
class Check:
    """What has to be looked at before anybody is served after time has passed, and how long that may take."""

    name: str
    look: Callable[[], Awaitable[None]]
    within: float  # seconds; what is not known by then is served as it is


class MachineKeeper:
    """One for the agent. `checks` may be added to, and `partings`, which are done before it goes to sleep."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.machine = Machine(used=service.clock(), since=service.clock())
        self.checks = [Check("leases", self._look_at_leases, 1.0)]
        self.partings: list[Callable[[], Awaitable[None]]] = []
        self.work = Work()
        self._visitors = Visitors()
        self._waiting: set[asyncio.Future[None]] = set()
        self._ordering: asyncio.Task[None] | None = None
        self._told = ""
        self._seen = life.Looked(service.clock())
        self._flag = Path(service.plan.paths.asleep)

    def begin(self) -> None:
        """Go on where an agent was killed, if the gate is closed."""
        if self._flag.exists():
            now = self.service.clock()
            self.machine = Machine(state=State.RETURNING, since=now, used=now, is_gated=True)
            self._run(life.Return(checks=True))

    @contextmanager
    def at_work(self, name: str) -> Iterator[None]:
        """Stay awake until the block ends."""
        with self.work.at(name):
            yield

    # Requests

    async def pass_gate(self) -> str:
        """Wait until the gate is open; '' then, `again` if the plan is another one now, `starting` if it takes long."""
        plan = self.service.plan
        if not self.machine.is_gated:
            return ""
        if len(self._waiting) >= plan.server.max_waiting:
            return "starting"
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self.feed(life.Requested(self.service.clock()))
        try:
            await asyncio.wait_for(future, plan.server.hold)
        except TimeoutError:
            return "starting"
        finally:
            self._waiting.discard(future)
        return "" if self.service.plan is plan else "again"

    def resumed(self) -> None:
        """Time may have passed while the machine stood still, or its clock was wrong until now."""
        self.service.look_at_the_clock()
        self.service.forgive_the_clock()
        self.feed(life.Resumed(self.service.clock()))

    # The life

    def feed(self, event: life.Event) -> None:
        """Let something happen, and do what follows from it."""
        before = self.machine
        self.machine, commands = life.step(before, event)
        if self.machine.state is not before.state:
            log.info("machine.%s from=%s", self.machine.state, before.state)
        if self.machine.problem not in ("", self._told):
            log.error("machine.does_not_sleep reason=%r", self.machine.problem)
        self._told = self.machine.problem
        for command in commands:
            self._run(command)

    def _run(self, command: life.Command) -> None:
        start = self.service.tasks.start
        match command:
            case life.Settle():
                start(self._settle())
            case life.CloseGate():
                self._flag.touch()
            case life.OpenGate():
                self._open()
            case life.Look():
                self.look()
            case life.Order(order):
                self._ordering = start(self._order(order))
            case life.Recall():
                start(self._recall(self._ordering))
            case life.Check():
                start(self._check())
            case life.Return(checks, hooks):
                start(self._return(checks=checks, hooks=hooks))

    def _open(self) -> None:
        self._flag.unlink(missing_ok=True)
        for each in self._waiting:
            if not each.done():
                each.set_result(None)

    async def _settle(self) -> None:
        problem = await self.service.hooks.server("idle")
        self.feed(life.Settled(self.service.clock(), problem))

    async def _order(self, order: str) -> None:
        sleep, clock = self.service.plan.sleep, self.service.clock
        for part in self.partings:
            await part()
        try:
            if order == "end":
                await asyncio.to_thread(self.service.supervisor.shut_down)
            else:
                await asyncio.to_thread(fly_api.order, sleep.api, sleep.machine, order)
        except (Unavailable, xmlrpc.client.Fault) as problem:
            for_good = isinstance(problem, fly_api.NotAllowed)
            self.feed(life.Refused(clock(), order, f"{order}: {problem}", for_good))
        else:
            log.info("machine.ordered order=%s", order)
            self.feed(life.Accepted(clock()))

    async def _recall(self, ordering: asyncio.Task[None] | None) -> None:
        """Who came first wins: a suspend that has begun is interrupted by a start, and anybody else takes no notice."""
        sleep = self.service.plan.sleep
        if ordering and sleep.api:
            await asyncio.wait([ordering])
            with suppress(Unavailable):
                await asyncio.to_thread(fly_api.order, sleep.api, sleep.machine, "start")

    async def _return(self, *, checks: bool, hooks: bool) -> None:
        if checks:
            await self._check()
        if hooks:
            await self.service.hooks.server("resume")
        self.feed(life.Returned(self.service.clock()))

    async def _check(self) -> None:
        for each in self.checks:
            try:
                async with asyncio.timeout(each.within):
                    await each.look()
            except Exception as problem:
                log.error("machine.check_failed check=%s reason=%r", each.name, str(problem) or "out of time")

    async def _look_at_leases(self) -> None:
        self.service.look_at_the_clock()

    # Looking

    async def watch(self) -> None:
        """Look once a second."""
        before = [time.clock_gettime(each) for each in _CLOCKS]
        while True:
            await asyncio.sleep(1)
            now = [time.clock_gettime(each) for each in _CLOCKS]
            if any(abs(late - early) > _PAUSE for late, early in zip(now, before, strict=True)):
                self.resumed()
            before = now
            self.look()

    def look(self) -> None:
        """Say what is seen."""
        if self.service.is_ending:
            return
        plan, at = self.service.plan, self.service.clock()
        sleep = plan.sleep
        order = "" if sleep.then == "nothing" else "end" if sleep.then == "stop" and not sleep.api else sleep.then
        busy = self._busy()
        visitors, stays = self._visitors.look(plan, at) if order and not busy else (0, False)
        used = at if stays else self._seen.used
        self._seen = life.Looked(at, sleep.after, order, busy, visitors, used)
        self.feed(self._seen)

    def _busy(self) -> str:
        if self._waiting and self.machine.state is State.AWAKE:
            return "requests wait"
        return needed_for(self.service, self.work)

    def status(self) -> dict[str, object]:
        """For people: would it sleep, when, and if not, why?"""
        self.look()
        machine, seen, now = self.machine, self._seen, self.service.clock()
        left = max(0.0, machine.used + seen.after - now, machine.retry_at - now)
        why = seen.busy or (f"{seen.visitors} connections are open" if seen.visitors else "")
        if not seen.order:
            why = "nothing puts it to sleep"
        return {
            "state": machine.state.value,
            "then": seen.order,
            "sleeps_in": None if why or machine.state is not State.AWAKE else round(left, 1),
            "why_not": why,
            "problem": machine.problem,
        }
