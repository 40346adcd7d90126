"""The copying of one tenant's databases while they are held: one litestream at a time, each to a path of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError, Unavailable
from atcgen.replica import attachment as attaching
from atcgen.replica import history
from atcgen.replica.attachment import Attachment, databases_here
from atcgen.replica.gauge import Gauge
from atcgen.replica.lease import Holder, Lost, lease_clock
from atcgen.replica.notes import Notes
from atcgen.replica.restoring import verify
from atcgen.replica.site import Site
from atcgen.system.processes import runs
from atcgen.system.sqlite import checkpoint, companion

log = logging.getLogger("atc.agent")

TROUBLE = (AtcError, OSError, xmlrpc.client.Fault)
LONGEST_PAUSE = 30.0
_PATIENCE = 3600.0  # for the first copy, which may be of gigabytes
_BETWEEN_PUBLICATIONS = 1.0
_TIME_TO_BEGIN = 10.0


class Copies:
    """`is_held` says whether a lease is still ours; `changed` is called when a restarted agent needs to know more."""

    def __init__(
        self,
        plan: TenantPlan,
        site: Site,
        notes: Notes,
        *,
        is_held: Callable[[Holder], bool],
        changed: Callable[[], None],
    ) -> None:
        assert plan.backup
        self.plan, self._program, self._key, self._site = plan, plan.backup.program, plan.backup.key, site
        self._notes, self._is_held, self._changed = notes, is_held, changed
        self.attached: Attachment | None = None
        self.number = 0  # of the last path of this epoch
        self.problem = ""  # why nothing is copied, for people
        self.gauge = Gauge()
        self.is_suspect = False  # litestream may have seen what SQLite does not stand by
        self._publishing: asyncio.Task[Any] | None = None
        self._starting: asyncio.Task[str] | None = None
        self._published_at = 0.0  # when the last attempt to publish began, by the loop's clock

    def begin(self, holder: Holder) -> None:
        """Copy from now on; the databases may have yet to be made. Nothing happens when that goes on already."""
        if self.attached is None and not self._is_publishing:
            self._publishing = self._site.start(self._keep_publishing(holder))

    def stop(self) -> None:
        """Begin nothing more; what copies goes on."""
        if self._publishing:
            self._publishing.cancel()
            self._publishing = None

    async def end(self, number: signal.Signals) -> None:
        """End litestream, and wait until it has."""
        attached, self.attached = self.attached, None
        if self._starting:
            await asyncio.wait([self._starting])
        if attached and attached.pid:
            await attaching.end(attached.pid, number)

    def kill(self) -> None:
        """End everything at once."""
        self.stop()
        self._kill()
        self.attached = None

    def _kill(self) -> None:
        if self.attached and self.attached.pid and runs(self.attached.pid):
            with suppress(OSError):
                os.killpg(self.attached.pid, signal.SIGKILL)

    def suspect(self, *, goes_on: bool) -> None:
        """A process of the tenant was killed, so litestream may have copied a transaction that SQLite drops.

        If the tenant goes on, which may be known before this is, another litestream has to copy to another path.
        """
        self.is_suspect = True
        if goes_on:
            self._kill()

    @property
    def _is_publishing(self) -> bool:
        return self._publishing is not None and not self._publishing.done()

    @property
    def is_unattended(self) -> bool:
        """Is there a copy that nobody publishes any more, or whose litestream is gone?"""
        attached = self.attached
        if attached is None:
            return False
        if not attached.is_published and not self._is_publishing:
            return True
        return bool(attached.pid) and not runs(attached.pid)

    async def checkpoint(self) -> None:
        """Put what is in logs into the databases; nobody has them open."""
        for each in databases_here(self.plan).values():
            if companion(each, "-wal").exists():
                await asyncio.to_thread(checkpoint, each)

    async def _keep_publishing(self, holder: Holder) -> None:
        clock = asyncio.get_running_loop().time
        pause = 1.0
        await asyncio.sleep(self._published_at + _BETWEEN_PUBLICATIONS - clock())  # at once, if it was long ago
        while self._is_held(holder):
            self._published_at = clock()
            try:
                await self._publish(holder)
                self.problem = ""
                return
            except TROUBLE as problem:
                self.problem = str(problem)
                log.error("replica.not_published tenant=%s reason=%r", self.plan.id, self.problem)
            await self.end(signal.SIGKILL)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _publish(self, holder: Holder) -> None:
        await self._end_what_is_left()
        path = await self._fresh_path(holder)
        attaching.write_configuration(self._site, self.plan, path)
        self.attached = attached = Attachment(path)
        self.is_suspect = False  # a copy that begins now begins with what SQLite stands by
        self._starting = self._site.start(self._start(attached))
        problem = await asyncio.shield(self._starting)
        if problem or not runs(attached.pid):
            raise Unavailable(problem or "litestream ended at once")
        self._changed()
        attached.inodes = await attaching.wait_for_first_copy(self.plan, _PATIENCE)
        await self._point(holder, path)
        attached.is_published = True
        self._changed()
        await self._forget_old(holder)

    async def _start(self, attached: Attachment) -> str:
        """Start litestream; why that failed. When nobody waits for it any more, it ends what it began."""
        supervisor = self._site.supervisor
        try:
            await asyncio.to_thread(supervisor.start, self._program, 0)
            attached.pid = (await asyncio.to_thread(supervisor.process, self._program, 0)).pid
        except TROUBLE as problem:
            return str(problem)
        if self.attached is not attached and runs(attached.pid):
            with suppress(OSError):
                os.killpg(attached.pid, signal.SIGKILL)
        return ""

    async def _end_what_is_left(self) -> None:
        """End a litestream that is not the one of an attachment, and wait until supervisord knows of its end."""
        supervisor, deadline = self._site.supervisor, lease_clock() + _TIME_TO_BEGIN
        while (found := await asyncio.to_thread(supervisor.process, self._program, 0)).is_up:
            if lease_clock() > deadline:
                raise Unavailable("the litestream before does not end")
            await attaching.end(found.pid, signal.SIGKILL)
            await asyncio.to_thread(supervisor.poke)

    async def _point(self, holder: Holder, path: str) -> None:
        """Make a path the truth. The marker allows for all that may be, since nobody knows if this is where it ends."""
        if not self._is_held(holder):
            raise Lost("its lease ran out meanwhile")
        marker = self._notes.marker()
        tried = marker.paths if marker and marker.epoch == holder.lease.epoch else ()
        self._notes.mark(holder, tuple(dict.fromkeys((*tried, holder.lease.path, path))), clean=False)
        await holder.point(path, time.time())
        log.info("replica.published tenant=%s path=%s", self.plan.id, path)

    async def _fresh_path(self, holder: Holder) -> str:
        """A path that nobody used before, whatever became of the lease: what the store has is looked at once."""
        if self.number == 0:
            used = history.last_number(await self._site.store.entries(self._key), self._key, holder.lease.epoch)
            if used:
                log.error(
                    "lease.older tenant=%s epoch=%d: its paths were used already", self.plan.id, holder.lease.epoch
                )
            self.number = used
        self.number += 1
        self._changed()
        return f"e{holder.lease.epoch}.{self.number}"

    async def _forget_old(self, holder: Holder) -> None:
        """Delete what is older than the retention, and what never became the truth. It can wait for the next time."""
        assert self.plan.backup
        try:
            entries = await self._site.store.entries(self._key)
            old = history.forgettable(holder.lease, time.time(), self.plan.backup.retention)
            gone = [each.key for each in entries for path in old if each.key.startswith(f"{self._key}/{path}/")]
            gone += history.abandoned(holder.lease, entries, self._key)
            if gone:
                await self._site.store.delete(gone)
            if old:
                await holder.forget_chapters(old)
                log.info("replica.forgotten tenant=%s paths=%s", self.plan.id, ",".join(old))
        except AtcError as problem:
            log.warning("replica.not_forgotten tenant=%s reason=%r", self.plan.id, str(problem))

    # Looking

    async def measure(self) -> None:
        """How far the store is behind."""
        await self.gauge.measure(self.plan, self.attached)

    def check_guard(self) -> None:
        """Kill a litestream that lost its hold on a database: its end is noticed, and another one begins."""
        attached = self.attached
        if attached and attached.is_published and attached.pid and not attaching.is_guarded(self.plan, attached):
            log.error("replica.unguarded tenant=%s", self.plan.id)
            self._kill()

    # When the tenant has ended

    async def copy_the_last(self, within: float) -> dict[str, int] | None:
        """What the store has in the end; None when it has to be published anew."""
        attached = self.attached
        if self.is_suspect or attached is None or not attached.is_published or not attached.pid:
            return None if databases_here(self.plan) else {}
        if not attaching.is_guarded(self.plan, attached):
            return None
        return await attaching.copy_the_last(self.plan, attached, within)

    async def heal(self, holder: Holder, within: float) -> dict[str, int]:
        """Publish what SQLite stands by to a fresh path, and see that it can be restored."""
        path = await self._fresh_path(holder)
        await attaching.publish_at_rest(self._site, self.plan, path, within)
        await self.checkpoint()
        copied = await verify(self._site, self.plan, path, within)
        await self._point(holder, path)
        self.is_suspect = False
        return copied
