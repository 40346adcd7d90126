"""What the agent holds for one tenant, and the socket by which nginx finds it."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State
from atcgen.agent.tally import Tally
from atcgen.agent.waiting import BUILT, stage
from atcgen.compiler.plan import TenantPlan
from atcgen.system.probe import Address

if TYPE_CHECKING:
    from atcgen.replica.custodian import Custodian
    from atcgen.replica.progress import Restoring


class Keeper:
    """One tenant: its state, the requests that wait for it, and the processes it has."""

    def __init__(self, plan: TenantPlan, custodian: Custodian | None = None) -> None:
        self.plan = plan
        self.custodian = custodian
        self.tenant = life.Tenant(plan.id, plan.slots, _prepares(plan), plan.pin)
        self.waiting: set[asyncio.Future[bool]] = set()
        self.builds = False  # the release is built that it is to start from
        self.claims = False  # the store is asked for its databases
        self.waits_for_owner = False  # they were another machine's when it was asked last
        self.probing: asyncio.Task[object] | None = None
        self.restarting: asyncio.Task[None] | None = None  # what tells it of an edit
        self.last_wake = time.time()  # or, for who never woke, since when it is known
        self.last_asked = 0.0  # when a request last woke it, or found it waking; seconds of the epoch
        self.tally = Tally()
        self.pids: dict[int, int] = {}  # slot -> process id
        self.touched = 0  # when its tmp/restart.txt was, as far as that was heeded
        self.copied = ""  # the release that was just prepared for, of which there is a copy
        self.provides = asyncio.Lock()  # held while copies of releases are made and removed
        self.provided: set[int] = set()  # slots for which there is one
        self.log_begins: dict[int, int] = {}  # slot -> size of its log when it was started
        self.stop_asked: dict[int, float] = {}  # slot -> when its process was told to end, by the loop's clock
        self.connected: frozenset[str] = frozenset()  # connections to its process at the last look
        self.is_up = False  # it answered, and has not gone down since
        self.lock = asyncio.Lock()  # held while its program is replaced or removed
        self._changed = asyncio.Event()

    def take(self, plan: TenantPlan) -> None:
        """Work by a new plan from now on."""
        self.plan = plan
        self.tenant = replace(self.tenant, slots=plan.slots, prepares=_prepares(plan), pinned=plan.pin)
        if self.custodian and plan.backup:
            self.custodian.take(plan)

    def busy(self) -> frozenset[int]:
        """The slots in which something runs, or is about to."""
        return frozenset(self.provided | self.pids.keys())

    def address(self, slot: int) -> Address:
        """Where the process of a slot listens."""
        return Address(port=self.plan.port) if self.plan.port else Address(socket=self.plan.socket(slot))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes and theirs."""
        for pid in self.pids.values():
            with suppress(OSError):
                os.killpg(pid, number)

    async def until(self, condition: Callable[[life.Tenant], bool]) -> None:
        """Wait until something is true of the tenant."""
        while not condition(self.tenant):
            self._changed.clear()
            await self._changed.wait()

    def restoring(self) -> Restoring | None:
        """How far its databases and files are on their way here, if they are."""
        return self.custodian.progress.look() if self.custodian else None

    def stage(self) -> str:
        """What goes on, for visitors."""
        if self.builds and self.tenant.state is State.PREPARING:
            return BUILT
        return stage(self.tenant.state, self.restoring(), claims=self.claims, waits_for_owner=self.waits_for_owner)

    def tell(self) -> None:
        """Let those in `until` look again."""
        self._changed.set()

    def release(self, *, admitted: bool) -> None:
        """Answer everybody who waits."""
        for each in self.waiting:
            if not each.done():
                each.set_result(admitted)
        self.waiting.clear()

    def last_access(self) -> float:
        """When the last request ended, in seconds of the epoch; 0 when there was none."""
        try:
            found = os.stat(self.plan.access_log)
        except OSError:
            return 0.0
        return found.st_mtime if found.st_size else 0.0

    def link(self, slot: int) -> None:
        """Point the tenant's socket to the process of a slot, atomically."""
        if not self.plan.link:
            return
        os.chmod(self.plan.socket(slot), 0o666)  # the directory keeps others out
        fresh = Path(self.plan.socket_directory, "next")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(f"{slot}.sock")
        fresh.replace(self.plan.link)

    def unlink(self) -> None:
        """Let nginx find nobody."""
        if self.plan.link:
            Path(self.plan.link).unlink(missing_ok=True)

    def linked_slot(self) -> int | None:
        """The slot the tenant's socket points to; a tenant with a port has only one."""
        if not self.plan.link:
            return 0
        try:
            return int(os.readlink(self.plan.link).split(".")[0])
        except (OSError, ValueError):
            return None


def _prepares(plan: TenantPlan) -> bool:
    """Is there anything to do before its process starts?"""
    return bool(plan.build or plan.prepare or plan.backup)
