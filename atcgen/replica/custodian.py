"""Keeps the databases of one tenant from being lost: claims them before it starts, has them copied while it runs, and
gives them back when it has ended and everything is in the store.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError, Unavailable
from atcgen.replica import attachment as attaching
from atcgen.replica import fetching, history, strays
from atcgen.replica.attachment import Attachment, databases_here, databases_of
from atcgen.replica.copies import LONGEST_PAUSE, TROUBLE, Copies
from atcgen.replica.custody import Verdict, follows, judge
from atcgen.replica.filing import Filing
from atcgen.replica.lease import Claimant, Holder, Lease, Lost, lease_clock, read_lease
from atcgen.replica.notes import Notes
from atcgen.replica.progress import Progress
from atcgen.replica.renewal import Processes, RanOut, Renewal
from atcgen.replica.restoring import Moment, restore_all, restore_moment
from atcgen.replica.site import Site
from atcgen.system.litestream import NotReplicated
from atcgen.system.processes import runs
from atcgen.system.release import forget_prepared
from atcgen.system.sqlite import set_aside

log = logging.getLogger("atc.agent")


_PATIENCE = 3600.0  # for the first copy, which may be of gigabytes
_LAST_COPY = 10.0


class Custodian:
    """One tenant's."""

    def __init__(self, plan: TenantPlan, site: Site, processes: Processes) -> None:
        assert plan.backup
        self.plan, self.backup, self.site, self._processes = plan, plan.backup, site, processes
        self._claimant = Claimant(
            site.store, self.backup.lease, plan.id, site.owner, site.holder, site.plan.lease, check=self._check
        )
        self.holder: Holder | None = None
        self._notes = Notes(plan, site.boot)
        self.copies = Copies(plan, site, self._notes, is_held=lambda holder: self.holder is holder, changed=self._note)
        self.files = Filing(plan, site)
        self.progress = Progress()
        self.problem = ""  # what is wrong with having its databases, for people
        self._renewing: asyncio.Task[Any] | None = None
        self._renewal: Renewal | None = None
        self._settling: asyncio.Task[Any] | None = None
        self._claims = 0  # how many want it awake
        self._is_awake = False  # it was claimed, and was not let go since
        self._owes = False  # what it wrote under a lease that ran out may not be in the store
        self._has_truth = False  # what is here is what the lease says
        self._lock = asyncio.Lock()

    def status(self) -> dict[str, object]:
        """For people: what is known of the copies without asking anybody."""
        attached, problem = self.copies.attached, self.problem or self.copies.problem
        behind = self.copies.gauge.problem(time.time())
        restoring = self.progress.look()
        if problem:
            said = f"not copied: {problem}"
        elif restoring:
            said = f"restored: {restoring}"
        elif behind:
            said = behind
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
            "copied_at": self.copies.gauge.copied_at,
            "is_behind": bool(behind),
            "times_behind": self.copies.gauge.times_behind,
            "restoring": asdict(restoring) if restoring else None,
        }

    def is_at_rest_with(self, lease: Lease) -> bool:
        """Is what is here what that lease says, and does nobody write?"""
        marker = self._notes.marker()
        return self.holder is None and marker is not None and marker.clean and marker.epoch == lease.epoch

    @property
    def is_at_rest(self) -> bool:
        """Does it hold no lease, and has it nothing to do?"""
        is_settling = self._settling is not None and not self._settling.done()
        return self.holder is None and not self._owes and not self._claims and not is_settling

    def take(self, plan: TenantPlan) -> None:
        """Work by a new plan from the next start on."""
        assert plan.backup
        self.plan, self.backup = plan, plan.backup
        self.files.plan = self.copies.plan = self._notes.plan = plan

    # Before it starts

    async def claim(self) -> None:
        """Have the databases, and have the right ones here. Nobody has them open. Raises `AtcError`."""
        with self._wanting():
            async with self._lock:
                if self.holder and (self.copies.is_suspect or self.copies.is_unattended):
                    self.copies.stop()
                    await self.copies.end(signal.SIGKILL)
                    await self.copies.checkpoint()
                    self.copies.is_suspect = False
                if self.holder and lease_clock() >= self.holder.safe_until:
                    await self._renew()
                if self.holder is None:
                    await self._take()
                self._is_awake, self.problem = True, ""

    @contextmanager
    def _wanting(self) -> Iterator[None]:
        self._claims += 1
        try:
            yield
        finally:
            self._claims -= 1

    async def _take(self) -> None:
        holder = await self._claimant.acquire()
        self.holder, self._has_truth = holder, False
        self.copies.number, self.copies.is_suspect = 0, False
        self._note()
        self._renewing = self.site.start(self._keep_renewing(holder))
        try:
            await self._have_the_truth(holder)
            self._has_truth, self._owes = True, False
            self._note()
        except BaseException:
            await self._give_back(dict(holder.lease.databases))
            raise

    async def _check(self, old: Lease | None, fresh: Lease) -> None:
        """Refuse before the lease is taken, or made, what would be refused after it."""
        marker = self._notes.marker()
        verdict, why = judge(fresh, marker, databases_here(self.plan), self.site.boot)
        if verdict is Verdict.REFUSE:
            raise Unavailable(why)
        await strays.refuse(self.site.store, self.backup.key, old, marker)

    async def _have_the_truth(self, holder: Holder) -> None:
        lease, marker, here = holder.lease, self._notes.marker(), databases_here(self.plan)
        aside = None
        verdict, why = judge(lease, marker, here, self.site.boot)
        log.info("custody.%s tenant=%s epoch=%d path=%s reason=%r", verdict, self.plan.id, lease.epoch, lease.path, why)
        match verdict:
            case Verdict.REFUSE:
                raise Unavailable(why)
            case Verdict.USE:
                self._notes.mark(holder, (lease.path,), clean=False)  # or a failure would make it look old
            case Verdict.REPLACE:
                aside = set_aside(here.values(), Path(self.plan.directory), datetime.now(UTC))
                if not lease.files and not (marker and lease.path in marker.paths):
                    fetching.put_aside(self.plan, fetching.roots_of(self.plan), Path(self.plan.directory), aside)
                log.warning("custody.set_aside tenant=%s directory=%s reason=%r", self.plan.id, aside, why)
        has_only_files = verdict is Verdict.NEW and not follows(lease, marker, self.site.boot)
        if verdict in (Verdict.RESTORE, Verdict.REPLACE) or has_only_files:
            async with self.files.fetched(fetching.current(lease), self.progress) as place:
                if lease.path:
                    forget_prepared(self.plan)
                    await restore_all(self.site, self.plan, lease, self.progress)
                place(aside)
        await self.copies.checkpoint()
        if verdict is not Verdict.USE:
            self._notes.mark(holder, (lease.path,), clean=False)

    # While it runs

    def protect(self) -> None:
        """Have the databases and files copied from now on; they may have yet to be made."""
        if self.holder and self._is_awake:
            self.files.begin(self.holder)
            self.copies.begin(self.holder)

    def replica_began(self, pid: int) -> None:
        """Litestream runs."""
        if self.copies.attached:
            self.copies.attached.pid = pid
            self._note()

    def replica_ended(self, pid: int) -> None:
        """Litestream is gone; while the tenant runs, another one has to begin, on a path of its own."""
        attached = self.copies.attached
        if attached and attached.pid == pid and not self._lock.locked():
            log.error("replica.died tenant=%s pid=%d", self.plan.id, pid)
            self.copies.kill()
            self.protect()

    async def _keep_renewing(self, holder: Holder) -> None:
        renewal = self._renewal = Renewal(self.plan.id, holder, self.site.plan.lease, self._processes)
        try:
            while self.holder is holder:
                if await renewal.turn():
                    self._note()
                    await self._look_at_the_copies()
        except (Lost, RanOut) as problem:
            self._owes = self._owes or isinstance(problem, RanOut)
            self._give_up(holder, str(problem))
        finally:
            renewal.end()

    def look_at_the_clock(self) -> None:
        """Time may have gone on while this machine stood still: nothing is written under a lease that is in doubt."""
        if self._renewal and self.holder:
            self._renewal.look_at_the_clock()

    async def _look_at_the_copies(self) -> None:
        attached = self.copies.attached
        if attached and attached.pid and not runs(attached.pid):
            self.replica_ended(attached.pid)  # nobody said so
        self.copies.check_guard()
        with suppress(TimeoutError):  # a litestream that does not answer must not keep the lease from being renewed
            async with asyncio.timeout(self.site.plan.lease / 6):
                await self.copies.measure()

    def _give_up(self, holder: Holder, reason: str) -> None:
        """Stop writing at once: somebody else may begin."""
        if self.holder is not holder:
            return
        log.error("lease.lost tenant=%s reason=%r", self.plan.id, reason)
        self.problem, self.holder = reason, None
        self.files.end()
        self._note()
        self._processes.kill(reason)
        self.copies.kill()

    # When it has ended

    def let_go(self) -> None:
        """Its processes are gone: copy the last of it and give the databases back, in the background."""
        self._is_awake = False
        if (self.holder or self._owes) and (self._settling is None or self._settling.done()):
            self._settling = self.site.start(self._keep_settling())

    def suspect(self) -> None:
        """A process of it was killed."""
        self.copies.suspect(goes_on=self._is_awake)

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
            except TROUBLE as problem:
                self.problem = f"its last changes are not in the store: {problem}"
                log.error("replica.not_settled tenant=%s reason=%r", self.plan.id, str(problem))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return None

    async def _take_again(self) -> None:
        """Take back a lease that ran out, to copy what was written under it, unless somebody else had it since."""
        async with self._lock:
            if self.holder or self._is_awake:
                return
            marker = self._notes.marker()
            lease = await read_lease(self.site.store, self.backup.lease, self.plan.id)
            if lease is None or marker is None or lease.epoch != marker.epoch:
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
            self.copies.stop()
            try:
                copied = await self.copies.copy_the_last(within)
            except NotReplicated as problem:
                log.warning("replica.anew tenant=%s reason=%r", self.plan.id, str(problem))
                copied = None
            if self._claims and not whoever_wants and not self.copies.is_suspect and copied is not None:
                return
            can_wait = copied is not None and not whoever_wants
            if not await self.files.finish(holder, lambda: can_wait and self._claims > 0):
                return
            await self.copies.end(signal.SIGTERM if copied is not None else signal.SIGKILL)
            await self.copies.checkpoint()
            if copied is None:
                copied = await self.copies.heal(holder, within)
            if self.holder is not holder:
                raise Lost("its lease ran out meanwhile")
            self._notes.mark(holder, (holder.lease.path,), clean=True)
            await self._give_back(copied)
            self.problem = self.copies.problem = ""

    async def _give_back(self, copied: dict[str, int]) -> None:
        holder, self.holder = self.holder, None
        self.files.end()
        if self._renewing:
            self._renewing.cancel()
        self.copies.stop()
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
            pause = min(2 * pause, LONGEST_PAUSE)
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
                names = databases_of(self.plan)
                moment = history.moment(holder.lease, at, txid, entries, self.backup.key, names)
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
            forget_prepared(self.plan)
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
            said = self._notes.state()
            holder = Holder.from_json(self.site.store, self.backup.lease, said["holder"])
            await holder.renew()
        except (OSError, ValueError, KeyError, AtcError) as problem:
            self._owes = isinstance(problem, AtcError) and not isinstance(problem, Lost)
            self._processes.kill(str(problem))
            await attaching.end(pid, signal.SIGKILL)
            return
        self.holder, self._has_truth = holder, bool(said["has_truth"])
        self.copies.number = int(said["number"])
        self._renewing = self.site.start(self._keep_renewing(holder))
        self._processes.go_on()  # the agent may have been killed while they were halted
        if not self._has_truth:  # it was about to be restored
            await self._give_back(dict(holder.lease.databases))
        if self.holder and said["attached"] and said["attached"]["is_published"] and runs(pid):
            self.copies.attached = Attachment(**said["attached"] | {"pid": pid})
        else:
            await attaching.end(pid, signal.SIGKILL)
        self._note()

    def _note(self) -> None:
        """Write down what `resume` needs."""
        attached = self.copies.attached
        state = {
            "number": self.copies.number,
            "has_truth": self._has_truth,
            "attached": attached.to_json() if attached else None,
        }
        self._notes.keep({"holder": self.holder.to_json(), **state} if self.holder else None)

    async def _renew(self) -> None:
        assert self.holder
        try:
            await self.holder.renew()
        except Lost as problem:
            self._give_up(self.holder, str(problem))
            raise
