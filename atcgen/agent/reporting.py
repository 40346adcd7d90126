"""Writes what this machine says of itself into the store: when it changes, and not too often."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from atcgen import __version__
from atcgen.compiler.plan import Plan
from atcgen.errors import AtcError
from atcgen.fleet.history import History
from atcgen.fleet.reports import REPEATED, Report, write
from atcgen.system.host import own_address

if TYPE_CHECKING:
    from atcgen.agent.converge import Converger

log = logging.getLogger("atc.agent")

_BETWEEN = 3.0  # seconds
_FAREWELL = 1.5  # seconds that the end of a machine may take longer for it


class Reporter:
    """The reports of one machine."""

    def __init__(self, converger: Converger, history: History) -> None:
        self._converger = converger
        self._history = history
        self._is_awake = True
        self._written: Report | None = None
        self._writing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def changed(self) -> None:
        """Write soon."""
        if self._writing is None or self._writing.done():
            self._writing = self._converger.service.tasks.start(self._write_soon())

    def repeat(self) -> None:
        """Write what was not written before, or long ago."""
        before = self._written
        if before is None or time.time() - before.at > REPEATED or replace(self._now(), at=before.at) != before:
            self.changed()

    def awake(self) -> None:
        """The machine is awake."""
        self._is_awake = True
        self.changed()

    async def asleep(self) -> None:
        """The machine is about to sleep."""
        self._is_awake = False
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._write()
        except TimeoutError:
            log.warning("report.not_written reason='the store does not answer'")

    async def _write_soon(self) -> None:
        """What changes while the last report is fresh is said together."""
        if self._written:
            await asyncio.sleep(max(0.0, self._written.at + _BETWEEN - time.time()))
        await self._write()

    async def _write(self) -> None:
        async with self._lock:
            report = self._now()
            before = self._written
            if before and replace(report, at=before.at) == before and report.at - before.at < REPEATED:
                return
            try:
                await write(self._history.store, report, self._history.secret)
            except AtcError as problem:
                self._written = None
                log.warning("report.not_written reason=%r", str(problem))
            else:
                self._written = report

    def _now(self) -> Report:
        said, plan = self._converger, self._converger.service.plan
        return Report(
            machine=plan.instance or socket.gethostname(),
            region=plan.region or "",
            instance=plan.instance or "",
            address=_address(plan),
            version=__version__,
            runs=said.runs,
            edited=said.edited,
            refused=said.refused[0],
            why=said.refused[1],
            since=said.since,
            awake=self._is_awake,
            at=time.time(),
        )


def _address(plan: Plan) -> str:
    """Where nginx listens, as others may reach it."""
    host, _, port = plan.server.listen[0].rpartition(":")
    return f"http://{own_address() if host == '0.0.0.0' else host}:{port}"
