"""Keeps the databases of one tenant from being lost: claims them before it starts, has them copied while it runs, and
gives them back when it has ended and everything is in the store.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError, Unavailable
from atcgen.replica import attachment as attaching
from atcgen.replica import fetching, history
from atcgen.replica.attachment import Attachment, databases_here
from atcgen.replica.custody import Marker, Verdict, follows, judge
from atcgen.replica.filing import Filing
from atcgen.replica.lease import Claimant, Holder, Lease, Lost, lease_clock
from atcgen.replica.restoring import Moment, Progress, restore_all, restore_moment, verify
from atcgen.replica.site import Site
from atcgen.system.litestream import NotReplicated
from atcgen.system.processes import runs
from atcgen.system.replication import report
from atcgen.system.sqlite import checkpoint, companion, set_aside

log = logging.getLogger("atc.agent")

MARKER = ".custody"
_PATIENCE = 3600.0  # for the first copy, which may be of gigabytes
_LAST_COPY = 10.0
_LONGEST_PAUSE = 30.0
_TICK = 1.0
_BETWEEN_PUBLICATIONS = 1.0
_TIME_TO_BEGIN = 10.0
_TROUBLE = (AtcError, OSError, xmlrpc.client.Fault)
_TOLERATED = 15.0  # seconds that a copy may be late
_TOLERATED_INTERVALS = 10


class Custodian:
    """One tenant's. `lost` is called with a reason when its processes have to be killed at once."""

    def __init__(self, plan: TenantPlan, site: Site, lost: Callable[[str], None]) -> None:
        assert plan.backup
        self.plan, self.backup, self.site, self._lost = plan, plan.backup, site, lost
        self._claimant = Claimant(
            site.store, f"{self.backup.key}/lease.json", plan.id, site.owner, site.holder, site.plan.lease
        )
        self.files = Filing(plan, site)
        self.holder: Holder | None = None
        self.attached: Attachment | None = None
        self.progress = Progress()
        self.copied_at = 0.0  # when the store last had everything, as far as that was asked; seconds of the epoch
        self.problem = ""  # why its databases are not being copied, for people
        self._number = 0  # of the last path of this epoch
        self._renewing: asyncio.Task[Any] | None = None
        self._publishing: asyncio.Task[Any] | None = None
        self._settling: asyncio.Task[Any] | None = None
        self._claims = 0  # how many want it awake
        self._is_awake = False  # it was claimed, and was not let go since
        self._owes = False  # what it wrote under a lease that ran out may not be in the store
        self._has_truth = False  # what is here is what the lease says
        self._published_at = 0.0  # when the last attempt to publish began, by the loop's clock
        self._is_suspect = False  # litestream may have seen what SQLite does not stand by
        self._lock = asyncio.Lock()

    def status(self) -> dict[str, object]:
        """For people: what is known of the copies without asking anybody."""
        attached = self.attached
        if self.problem:
            said = f"not copied: {self.problem}"
        elif self.progress.is_under_way:
            said = f"restored: {self.progress.share:.0%}"
        elif self.holder is None:
            said = "at rest"
        elif attached and attached.is_published:
            said = "copied"
        else:
            said = "first copy under way"
        if self.files.problem:
            said = f"{said}; files not copied: {self.files.problem}"
        path = attached.path if attached else self.holder.lease.path if self.holder else ""
        return {
            "copies": said,
            "replica_path": path,
            "epoch": self.holder.lease.epoch if self.holder else 0,
            "copied_at": self.copied_at,
        }

    def is_at_rest_with(self, lease: Lease) -> bool:
        """Is what is here what that lease says, and does nobody write?"""
        marker = self._marker()
        return self.holder is None and marker is not None and marker.clean and marker.epoch == lease.epoch

    def take(self, plan: TenantPlan) -> None:
        """Work by a new plan from the next start on."""
        assert plan.backup
        self.plan, self.backup, self.files.plan = plan, plan.backup, plan

    # Before it starts

    async def claim(self) -> None:
        """Have the databases, and have the right ones here. Nobody has them open. Raises `AtcError`."""
        with self._wanting():
            async with self._lock:
                if self.holder and (self._is_suspect or self._is_unattended()):
                    self._stop_publishing()
                    await self._detach(signal.SIGKILL)
                    await self._checkpoint()
                    self._is_suspect = False
                if self.holder and lease_clock() >= self.holder.safe_until:
                    await self._renew()
                if self.holder is None:
                    await self._take()
                self._is_awake = True

    @contextmanager
    def _wanting(self) -> Iterator[None]:
        self._claims += 1
        try:
            yield
        finally:
            self._claims -= 1

    async def _take(self) -> None:
        holder = await self._claimant.acquire()
        self.holder, self._number, self._is_suspect, self._has_truth = holder, 0, False, False
        self._note()
        self._renewing = self.site.start(self._keep_renewing(holder))
        try:
            await self._have_the_truth(holder)
            self._has_truth, self._owes = True, False
            self._note()
        except BaseException:
            await self._give_back(dict(holder.lease.databases))
            raise

    async def _have_the_truth(self, holder: Holder) -> None:
        lease, marker, here = holder.lease, self._marker(), databases_here(self.plan)
        aside = None
        verdict, why = judge(lease, marker, here, self.site.boot)
        log.info("custody.%s tenant=%s epoch=%d path=%s reason=%r", verdict, self.plan.id, lease.epoch, lease.path, why)
        match verdict:
            case Verdict.REFUSE:
                raise Unavailable(why)
            case Verdict.USE:
                self._mark(self._marker_now(clean=False, paths=(lease.path,)))  # or a failure would make it look old
            case Verdict.REPLACE:
                aside = set_aside(here.values(), Path(self.plan.directory), datetime.now(UTC))
                log.warning("custody.set_aside tenant=%s directory=%s reason=%r", self.plan.id, aside, why)
        has_only_files = verdict is Verdict.NEW and not follows(lease, marker, self.site.boot)
        if verdict in (Verdict.RESTORE, Verdict.REPLACE) or has_only_files:
            async with self.files.fetched(fetching.current(lease), self.progress) as place:
                if lease.path:
                    await restore_all(self.site, self.plan, lease, self.progress)
                place(aside)
        await self._checkpoint()
        if verdict is not Verdict.USE:
            self._mark(self._marker_now(clean=False, paths=(lease.path,)))

    async def _checkpoint(self) -> None:
        for each in databases_here(self.plan).values():
            if companion(each, "-wal").exists():
                await asyncio.to_thread(checkpoint, each)

    # While it runs

    def protect(self) -> None:
        """Have the databases and files copied from now on; they may have yet to be made."""
        if self.holder and self._is_awake:
            self.files.begin(self.holder)
        if (
            self.holder
            and self._is_awake
            and self.attached is None
            and (self._publishing is None or self._publishing.done())
        ):
            self._publishing = self.site.start(self._keep_publishing())

    def _stop_publishing(self) -> None:
        if self._publishing:
            self._publishing.cancel()
            self._publishing = None

    def _is_unattended(self) -> bool:
        """Is there a copy that nobody publishes any more, or whose litestream is gone?"""
        attached = self.attached
        if attached is None:
            return False
        if not attached.is_published and (self._publishing is None or self._publishing.done()):
            return True
        return bool(attached.pid) and not runs(attached.pid)

    async def _keep_publishing(self) -> None:
        clock = asyncio.get_running_loop().time
        pause = 1.0
        await asyncio.sleep(self._published_at + _BETWEEN_PUBLICATIONS - clock())  # at once, if it was long ago
        while self.holder:
            self._published_at = clock()
            try:
                await self._publish(self.holder)
                self.problem = ""
                return
            except _TROUBLE as problem:
                self.problem = str(problem)
                log.error("replica.not_published tenant=%s reason=%r", self.plan.id, self.problem)
            await self._detach(signal.SIGKILL)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _publish(self, holder: Holder) -> None:
        await self._end_what_is_left()
        path = self._fresh_path(holder)
        attaching.write_configuration(self.site, self.plan, path)
        self.attached = attached = Attachment(path)
        self._is_suspect = False  # a copy that begins now begins with what SQLite stands by
        await asyncio.to_thread(self.site.supervisor.start, self.backup.program, 0)
        attached.pid = (await asyncio.to_thread(self.site.supervisor.process, self.backup.program, 0)).pid
        if not runs(attached.pid):
            raise Unavailable("litestream ended at once")
        self._note()
        attached.inodes = await attaching.wait_for_first_copy(self.plan, _PATIENCE)
        await self._point(holder, path)
        attached.is_published = True
        self._note()
        await self._forget_old(holder)

    async def _end_what_is_left(self) -> None:
        """End a litestream that is not the one of an attachment, and wait until supervisord knows of its end."""
        deadline = lease_clock() + _TIME_TO_BEGIN
        while (found := await asyncio.to_thread(self.site.supervisor.process, self.backup.program, 0)).is_up:
            if lease_clock() > deadline:
                raise Unavailable("the litestream before does not end")
            await attaching.end(found.pid, signal.SIGKILL)
            await asyncio.to_thread(self.site.supervisor.poke)

    async def _point(self, holder: Holder, path: str) -> None:
        """Make a path the truth. The marker allows for all that may be, since nobody knows if this is where it ends."""
        if self.holder is not holder:
            raise Lost("its lease ran out meanwhile")
        marker = self._marker()
        tried = marker.paths if marker and marker.epoch == holder.lease.epoch else ()
        self._mark(self._marker_now(clean=False, paths=tuple(dict.fromkeys((*tried, holder.lease.path, path)))))
        await holder.point(path, time.time())
        log.info("replica.published tenant=%s path=%s", self.plan.id, path)

    async def _forget_old(self, holder: Holder) -> None:
        """Delete what is older than the retention, and what never became the truth. It can wait for the next time."""
        try:
            entries = await self.site.store.entries(self.backup.key)
            old = history.forgettable(holder.lease, time.time(), self.backup.retention)
            gone = [each.key for each in entries for path in old if each.key.startswith(f"{self.backup.key}/{path}/")]
            gone += history.abandoned(holder.lease, entries, self.backup.key)
            if gone:
                await self.site.store.delete(gone)
            if old:
                await holder.forget_chapters(old)
                log.info("replica.forgotten tenant=%s paths=%s", self.plan.id, ",".join(old))
        except AtcError as problem:
            log.warning("replica.not_forgotten tenant=%s reason=%r", self.plan.id, str(problem))

    def replica_began(self, pid: int) -> None:
        """Litestream runs."""
        if self.attached:
            self.attached.pid = pid
            self._note()

    def replica_ended(self, pid: int) -> None:
        """Litestream is gone; while the tenant runs, another one has to begin, on a path of its own."""
        if self.attached and self.attached.pid == pid and not self._lock.locked():
            log.error("replica.died tenant=%s pid=%d", self.plan.id, pid)
            self.attached = None
            self._stop_publishing()
            self.protect()

    async def _keep_renewing(self, holder: Holder) -> None:
        due = lease_clock() + self.site.plan.lease / 3
        while self.holder is holder:
            await asyncio.sleep(min(_TICK, self.site.plan.lease / 10))
            if lease_clock() < due:
                continue
            try:
                # One that is not answered must not take longer than the lease lasts.
                left = max(holder.safe_until - lease_clock(), self.site.plan.lease / 6)
                async with asyncio.timeout(left):
                    await holder.renew()
                due = lease_clock() + self.site.plan.lease / 3
                self._note()
            except Lost as problem:
                return self._give_up(holder, str(problem))
            except (AtcError, TimeoutError) as problem:
                said = str(problem) or "the store does not answer"
                log.warning("lease.not_renewed tenant=%s reason=%r", self.plan.id, said)
                if lease_clock() >= holder.safe_until:
                    self._owes = True
                    return self._give_up(holder, f"its lease could not be renewed: {said}")
            self._check_guard()
            with suppress(TimeoutError):  # a litestream that does not answer must not keep the lease from being renewed
                async with asyncio.timeout(self.site.plan.lease / 6):
                    await self.measure()
        return None

    async def measure(self) -> None:
        """How far the store is behind; it is a problem when that is more than a few times what it may be."""
        attached = self.attached
        if not attached or not attached.is_published:
            return
        try:
            found = await report(attaching.socket_of(self.plan))
        except AtcError:
            return  # it is about to be noticed that it is gone
        copied = [each.replicated_at for each in found if each.txid]
        self.copied_at = min((each or 0.0 for each in copied), default=0.0)
        lag = time.time() - self.copied_at
        if copied and lag > max(_TOLERATED, _TOLERATED_INTERVALS * self.backup.sync):
            self.problem = f"the store is {lag:.0f} s behind"
            log.warning("replica.behind tenant=%s seconds=%.0f", self.plan.id, lag)
        elif self.problem.endswith(" behind"):
            self.problem = ""

    def _check_guard(self) -> None:
        attached = self.attached
        if attached and attached.pid and not runs(attached.pid):
            self.replica_ended(attached.pid)  # nobody said so
        elif attached and attached.is_published and attached.pid and not attaching.is_guarded(self.plan, attached):
            log.error("replica.unguarded tenant=%s", self.plan.id)
            with suppress(OSError):
                os.killpg(attached.pid, signal.SIGKILL)  # its end is noticed, and another one begins

    def _give_up(self, holder: Holder, reason: str) -> None:
        """Stop writing at once: somebody else may begin."""
        if self.holder is not holder:
            return
        log.error("lease.lost tenant=%s reason=%r", self.plan.id, reason)
        self.problem, self.holder = reason, None
        self.files.end()
        self._note()
        self._lost(reason)
        self._stop_publishing()
        if self.attached and self.attached.pid:
            with suppress(OSError):
                os.killpg(self.attached.pid, signal.SIGKILL)
        self.attached = None

    # When it has ended

    def let_go(self) -> None:
        """Its processes are gone: copy the last of it and give the databases back, in the background."""
        self._is_awake = False
        if (self.holder or self._owes) and (self._settling is None or self._settling.done()):
            self._settling = self.site.start(self._keep_settling())

    def suspect(self) -> None:
        """A process of it was killed, so litestream may have copied a transaction that SQLite drops.

        If the tenant goes on, which may be known before this is, another litestream has to copy to another path.
        """
        self._is_suspect = True
        if self._is_awake and self.attached and runs(self.attached.pid):
            with suppress(OSError):
                os.killpg(self.attached.pid, signal.SIGKILL)

    async def _keep_settling(self) -> None:
        pause = 1.0
        while (self.holder or self._owes) and not self._claims and not self._is_awake:
            try:
                if self.holder is None:
                    await self._take_again()
                return await self.settle(_LAST_COPY)
            except Lost as problem:
                if self.holder:
                    self._give_up(self.holder, str(problem))
            except _TROUBLE as problem:
                self.problem = f"its last changes are not in the store: {problem}"
                log.error("replica.not_settled tenant=%s reason=%r", self.plan.id, str(problem))
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        return None

    async def _take_again(self) -> None:
        """Take back a lease that ran out, to copy what was written under it, unless somebody else had it since."""
        async with self._lock:
            if self.holder or self._is_awake:
                return
            key, marker = f"{self.backup.key}/lease.json", self._marker()
            found = await self.site.store.get(key)
            if found is None or marker is None or Lease.from_json(found.body, key).epoch != marker.epoch:
                self._owes = False
                log.error("custody.superseded tenant=%s", self.plan.id)
                return
            await self._take()

    async def settle(self, within: float, *, whoever_wants: bool = False) -> None:
        """Copy the last of it within so many seconds, and give the databases back, unless somebody wants them again.

        Raises `AtcError`; everything stays as it is then, and it can be asked again.
        """
        async with self._lock:
            holder = self.holder
            if holder is None or (self._is_awake and not whoever_wants):
                return
            self._stop_publishing()
            try:
                copied = await self._last_copy(within)
            except NotReplicated as problem:
                log.warning("replica.anew tenant=%s reason=%r", self.plan.id, str(problem))
                copied = None
            if self._claims and not whoever_wants and not self._is_suspect and copied is not None:
                return
            can_wait = copied is not None and not whoever_wants
            if not await self.files.finish(holder, lambda: can_wait and self._claims > 0):
                return
            await self._detach(signal.SIGTERM if copied is not None else signal.SIGKILL)
            await self._checkpoint()
            if copied is None:
                copied = await self._heal(holder, within)
            if self.holder is not holder:
                raise Lost("its lease ran out meanwhile")
            self._mark(self._marker_now(clean=True, paths=(holder.lease.path,)))
            await self._give_back(copied)
            self.problem = ""

    async def _last_copy(self, within: float) -> dict[str, int] | None:
        """What the store has in the end; None when it has to be published anew."""
        attached = self.attached
        if self._is_suspect or attached is None or not attached.is_published or not attached.pid:
            return None if databases_here(self.plan) else {}
        if not attaching.is_guarded(self.plan, attached):
            return None
        return await attaching.copy_the_last(self.plan, attached, within)

    async def _heal(self, holder: Holder, within: float) -> dict[str, int]:
        """Publish what SQLite stands by to a fresh path, and see that it can be restored."""
        path = self._fresh_path(holder)
        await attaching.publish_at_rest(self.site, self.plan, path, within)
        await self._checkpoint()
        copied = await verify(self.site, self.plan, path, within)
        await self._point(holder, path)
        self._is_suspect = False
        return copied

    async def _give_back(self, copied: dict[str, int]) -> None:
        holder, self.holder = self.holder, None
        self.files.end()
        if self._renewing:
            self._renewing.cancel()
        self._stop_publishing()
        if holder:
            try:
                await holder.release(copied, time.time())
                log.info("lease.released tenant=%s epoch=%d", self.plan.id, holder.lease.epoch)
            except AtcError as problem:  # it runs out by itself, and is ours to take until then
                log.warning("lease.not_released tenant=%s reason=%r", self.plan.id, str(problem))
                if not isinstance(problem, Lost):
                    self.site.start(self._keep_releasing(holder, copied))
        self._note()

    async def _keep_releasing(self, holder: Holder, copied: dict[str, int]) -> None:
        """Others should not have to wait until a lease runs out that nobody uses. One that was taken again is left."""
        pause = 1.0
        while True:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            if self.holder:
                return
            try:
                await holder.release(copied, time.time())
            except Lost:
                return
            except AtcError:
                continue
            log.info("lease.released tenant=%s epoch=%d", self.plan.id, holder.lease.epoch)
            return

    async def _detach(self, number: signal.Signals) -> None:
        attached, self.attached = self.attached, None
        if attached and attached.pid:
            await attaching.end(attached.pid, number)

    async def rewind(self, at: datetime | None, txid: int | None) -> None:
        """Put an earlier state in the place of the present one, which stays in the store. The tenant is not up.

        Raises `AtcError`; the present is still there then.
        """
        with self._wanting():
            await self.settle(_LAST_COPY, whoever_wants=True)
            async with self._lock:
                if self.holder is None:
                    await self._take()
                holder = self.holder
            assert holder
            try:
                entries = await self.site.store.entries(self.backup.key)
                moment = history.moment(holder.lease, at, txid, entries, self.backup.key)
                epoch = history.epoch_of(moment.path)
                files = await fetching.version_at(self.site, self.plan, holder.lease, at, epoch) if at else None
                async with self.files.fetched(files, self.progress) as place:
                    place(await self._replace_by(moment))
            finally:
                await self.settle(_LAST_COPY, whoever_wants=True)

    async def _replace_by(self, moment: Moment) -> Path:
        directory = Path(self.plan.directory)
        with tempfile.TemporaryDirectory(prefix=".rewind-", dir=directory) as scratch:
            made = await restore_moment(self.site, self.plan, moment, Path(scratch), self.progress)
            aside = set_aside(databases_here(self.plan).values(), directory, datetime.now(UTC))
            for each in made:
                each.rename(directory / each.relative_to(scratch))
        log.warning("custody.rewound tenant=%s to=%s directory=%s", self.plan.id, moment, aside)
        return aside

    # Over restarts of the agent

    async def settled(self, patience: float) -> None:
        """Wait until nothing is left to do, or for so many seconds."""
        if self._settling:
            await asyncio.wait([self._settling], timeout=patience)

    async def resume(self, pid: int, *, is_awake: bool) -> None:
        """Go on where an agent was killed; `pid` is litestream's, 0 when it is gone too."""
        self._is_awake = is_awake
        try:
            said = json.loads(self._state.read_text(encoding="utf-8"))
            holder = Holder.from_json(self.site.store, f"{self.backup.key}/lease.json", said["holder"])
            await holder.renew()
        except (OSError, ValueError, KeyError, AtcError) as problem:
            self._owes = isinstance(problem, AtcError) and not isinstance(problem, Lost)
            self._lost(str(problem))
            await attaching.end(pid, signal.SIGKILL)
            return
        self.holder, self._number, self._has_truth = holder, int(said["number"]), bool(said["has_truth"])
        self._renewing = self.site.start(self._keep_renewing(holder))
        if not self._has_truth:  # it was about to be restored
            await self._give_back(dict(holder.lease.databases))
        if self.holder and said["attached"] and said["attached"]["is_published"] and runs(pid):
            self.attached = Attachment(**said["attached"] | {"pid": pid})
        else:
            await attaching.end(pid, signal.SIGKILL)
        self._note()

    def _note(self) -> None:
        """Write down what `resume` needs."""
        if self.holder is None:
            self._state.unlink(missing_ok=True)
            return
        said = {
            "holder": self.holder.to_json(),
            "number": self._number,
            "has_truth": self._has_truth,
            "attached": self.attached.to_json() if self.attached else None,
        }
        self._state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps(said), encoding="utf-8")
        fresh.replace(self._state)

    @property
    def _state(self) -> Path:
        return Path(self.backup.directory, "state.json")

    async def _renew(self) -> None:
        assert self.holder
        try:
            await self.holder.renew()
        except Lost as problem:
            self._give_up(self.holder, str(problem))
            raise

    def _fresh_path(self, holder: Holder) -> str:
        self._number += 1
        self._note()
        return f"e{holder.lease.epoch}.{self._number}"

    # The marker

    def _marker_now(self, *, clean: bool, paths: tuple[str, ...]) -> Marker:
        assert self.holder
        return Marker(self.holder.lease.epoch, paths, self.site.boot, clean, tuple(databases_here(self.plan)))

    def _marker(self) -> Marker | None:
        try:
            return Marker.from_json(Path(self.plan.directory, MARKER).read_text(encoding="utf-8"))
        except OSError:
            return None

    def _mark(self, marker: Marker) -> None:
        file = Path(self.plan.directory, MARKER)
        fresh = file.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write(marker.to_json())
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
