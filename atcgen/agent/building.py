"""Builds of releases: one at a time for each directory and command, however many tenants wait for its end.

It runs below supervisord, as all that may take long, so it goes on when the agent is replaced, and ends with atc.
"""

from __future__ import annotations

import asyncio
import logging
import xmlrpc.client
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from atcgen.agent.lifecycle import backoff
from atcgen.compiler.plan import BuildPlan, Plan, TenantPlan
from atcgen.errors import AtcError, Unavailable
from atcgen.system.building import is_built, make_room, note_built
from atcgen.system.logs import size_of, tail_since
from atcgen.system.release import Releases
from atcgen.system.supervisor import Process, Supervisor

log = logging.getLogger("atc.agent")

SLOT = 0
_LOOK = 2.0  # seconds after which supervisord is asked, in case an event was lost
_END = 15.0  # seconds that a build which took too long has for its end


class BuildFailed(AtcError):
    """A build did not succeed; it is not tried again for some seconds."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True)
class _Failure:
    stamp: str
    count: int  # in a row
    until: float
    reason: str


class Builds:
    """All builds of the machine."""

    def __init__(self, plan: Plan, supervisor: Supervisor, releases: Releases, clock: Callable[[], float]) -> None:
        self._supervisor = supervisor
        self._releases = releases
        self._clock = clock
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._changed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._failures: dict[str, _Failure] = {}
        self._plans: dict[str, BuildPlan] = {}
        self.take(plan)

    def take(self, plan: Plan) -> None:
        """Work by a new plan from now on."""
        self._plans = {each.program: each for each in plan.builds}

    def has(self, program: str) -> bool:
        """Is a program of supervisord a build?"""
        return program in self._plans

    def changed(self, program: str) -> None:
        """Something happened to the program of a build."""
        self._changed[program].set()

    def forgive(self, program: str) -> None:
        """A person wants it tried again now."""
        self._failures.pop(program, None)

    async def ensure(self, tenant: TenantPlan) -> bool:
        """Have the release built that a tenant is about to start from; raises `BuildFailed`. Did it take a build?"""
        if tenant.build not in self._plans:
            return False
        async with self._locks[tenant.build]:
            plan = self._plans.get(tenant.build)
            if plan is None:
                return False
            stamp = await self._releases.built(plan)
            if is_built(plan, stamp):
                return False
            last = self._failures.get(plan.program)
            if last and last.stamp == stamp and self._clock() < last.until:
                raise BuildFailed(last.reason, last.until - self._clock())
            await self._build(plan, stamp, last.count if last else 0)
            return True

    async def _build(self, plan: BuildPlan, stamp: str, failures: int) -> None:
        log.info("build.begins program=%s", plan.program)
        begin, size = self._clock(), size_of(Path(plan.log))
        try:
            reason = await self._run(plan)
        except (OSError, KeyError, Unavailable, xmlrpc.client.Fault) as problem:
            reason = f"could not be started: {problem}"
        if reason:
            said = tail_since(Path(plan.log), size)
            full = f"the build {reason}; see {plan.log}" + (f"\n{said}" if said else "")
            pause = backoff(failures + 1)
            # What it changed before it failed makes no other release.
            stamp = await self._releases.built(plan)
            self._failures[plan.program] = _Failure(stamp, failures + 1, self._clock() + pause, full)
            log.error("build.failed program=%s reason=%r", plan.program, reason)
            raise BuildFailed(full, pause)
        # What it wrote is part of the release, and is no reason to build again.
        await asyncio.to_thread(note_built, plan, await self._releases.built(plan))
        self._failures.pop(plan.program, None)
        log.info("build.done program=%s seconds=%.1f", plan.program, self._clock() - begin)

    async def _run(self, plan: BuildPlan) -> str:
        """Run it, or wait for the end of one that runs already; why it failed, '' when it did not."""
        await asyncio.to_thread(make_room, plan)
        self._changed[plan.program].clear()
        if not (await self._process(plan)).is_up:
            await asyncio.to_thread(self._supervisor.start, plan.program, SLOT)
        if not await self._ends(plan, plan.timeout):
            await asyncio.to_thread(self._supervisor.stop, plan.program, SLOT)
            await self._ends(plan, _END)
            return f"took longer than {plan.timeout:g} s"
        process = await self._process(plan)
        return "" if process.exit_status == 0 else "failed"

    async def _ends(self, plan: BuildPlan, within: float) -> bool:
        """Wait for its end. Events only say when to look: they may be late, or lost."""
        deadline = self._clock() + within
        changed = self._changed[plan.program]
        while (await self._process(plan)).is_up:
            left = deadline - self._clock()
            if left <= 0:
                return False
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), min(left, _LOOK))
            changed.clear()
        return True

    async def _process(self, plan: BuildPlan) -> Process:
        return await asyncio.to_thread(self._supervisor.process, plan.program, SLOT)
