"""Processes that have a framework loaded and are forked to wake tenants: begun once a tenant of theirs is ready.

A wake never waits for one: launch.sh asks the one that is there, and starts the tenant in the ordinary way otherwise.
"""

from __future__ import annotations

import asyncio
import logging
import xmlrpc.client
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from atcgen.agent import lifecycle as life
from atcgen.agent.keeper import Keeper
from atcgen.compiler.names import ZYGOTE
from atcgen.compiler.plan import PreloadPlan, TenantPlan
from atcgen.errors import Unavailable
from atcgen.system.directories import make_zygote_directory
from atcgen.system.logs import size_of, tail_since
from atcgen.system.probe import Address, listens
from atcgen.system.processes import runs, treat_as_others
from atcgen.system.supervisor import Supervisor

log = logging.getLogger("atc.agent")

_LOADS_WITHIN = 60.0  # seconds
_ENDS_WITHIN = 10.0
_AFTER_A_FAILURE = 60.0
_LOOK = 0.05
_TROUBLE = (OSError, KeyError, Unavailable, xmlrpc.client.Fault)


def is_zygote(group: str) -> bool:
    """Is a program of supervisord one of these?"""
    return group.startswith(ZYGOTE)


class Zygotes:
    """Those of this machine, by the names of their programs."""

    def __init__(self, supervisor: Supervisor, clock: Callable[[], float]) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._pids: dict[str, int] = {}
        self._busy: set[str] = set()  # begins or ends right now
        self._asked_to_end: set[str] = set()
        self._used: dict[str, float] = {}  # when a tenant of it was awake last
        self._retry_at: dict[str, float] = {}
        self._said: set[str] = set()  # whose failure is in the log
        self._known: set[str] = set()

    def pid(self, preload: PreloadPlan | None) -> int:
        """The process of one, 0 when it has none."""
        return self._pids.get(preload.program, 0) if preload else 0

    def pids(self) -> list[int]:
        """The processes of all of them."""
        return list(self._pids.values())

    def began(self, program: str, pid: int) -> None:
        """supervisord has started one."""
        self._pids[program] = pid
        self._known.add(program)

    def ended(self, program: str, *, expected: bool) -> None:
        """One is gone: it was told to, its files have changed, or it was killed. Tenants go on."""
        self._pids.pop(program, None)
        if not expected and program not in self._asked_to_end:
            log.error("zygote.ended program=%s; tenants are started in the ordinary way meanwhile", program)

    async def rouse(self, plan: TenantPlan) -> None:
        """Have the one of a tenant that was just started, for those that come after it."""
        preload = plan.preload
        if preload is None or preload.program in self._busy:
            return
        program = preload.program
        pid = self._pids.get(program, 0)
        if (pid and runs(pid)) or self._clock() < self._retry_at.get(program, 0.0):
            return
        self._busy.add(program)
        self._used[program] = self._clock()
        try:
            problem = await self._begin(preload, behind=plan.boots_behind)
        except _TROUBLE as trouble:
            problem = str(trouble)
        finally:
            self._busy.discard(program)
        if not problem:
            self._said.discard(program)
            return
        self._retry_at[program] = self._clock() + _AFTER_A_FAILURE
        if program not in self._said:
            self._said.add(program)
            log.error("zygote.failed program=%s; tenants are started in the ordinary way: %s", program, problem)

    async def _begin(self, preload: PreloadPlan, *, behind: bool) -> str:
        program, written = preload.program, size_of(Path(preload.log))
        if not await self._gone(program):
            return "the one before it does not end"
        make_zygote_directory(preload)  # its launch script removes a socket that was left there
        await asyncio.to_thread(self._supervisor.start, program, 0)
        pid = (await asyncio.to_thread(self._supervisor.process, program, 0)).pid
        deadline = self._clock() + _LOADS_WITHIN
        while not listens(Address(socket=preload.socket)):
            if not runs(pid) or self._clock() >= deadline:
                return tail_since(Path(preload.log), written) or "it does not load"
            await asyncio.sleep(_LOOK)
        self.began(program, pid)
        if behind:
            treat_as_others(pid)
        log.info("zygote.ready program=%s", program)
        return ""

    async def _gone(self, program: str) -> bool:
        """Wait until supervisord knows that a process has ended."""
        deadline = self._clock() + _ENDS_WITHIN
        while (await asyncio.to_thread(self._supervisor.process, program, 0)).is_up:
            if self._clock() >= deadline:
                return False
            await asyncio.sleep(_LOOK)
        return True

    def idle(self, keepers: Iterable[Keeper], wanted: Collection[str]) -> list[str]:
        """The programs to end: no tenant of theirs was awake for as long as tenants are kept, or none is left."""
        now, longest = self._clock(), dict.fromkeys(self._known, 0.0)
        for keeper in keepers:
            preload = keeper.plan.preload
            if preload is None:
                continue
            longest[preload.program] = max(longest.get(preload.program, 0.0), keeper.plan.idle)
            if keeper.pids or keeper.tenant.state in life.AWAKE:
                self._used[preload.program] = now
        unused = (each for each in self._pids if now - self._used.setdefault(each, now) >= longest.get(each, 0.0))
        left = (each for each in self._known if each not in wanted)
        return [each for each in {*unused, *left} if each not in self._busy]

    async def end(self, program: str, *, forget: bool) -> None:
        """End one; `forget` its program too where no tenant has it any more."""
        self._busy.add(program)
        self._asked_to_end.add(program)
        try:
            await asyncio.to_thread(self._supervisor.stop, program, 0)
            if await self._gone(program) and forget:
                await asyncio.to_thread(self._supervisor.remove, program)
                self._known.discard(program)
            self._pids.pop(program, None)
        except _TROUBLE as trouble:
            log.warning("zygote.stop_failed program=%s reason=%s", program, trouble)
            self._known.discard(program)
        finally:
            self._asked_to_end.discard(program)
            self._busy.discard(program)
