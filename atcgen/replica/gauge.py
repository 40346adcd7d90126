"""Looks at the copies of one tenant: how far the store is behind each database, and when that is worth a warning."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError
from atcgen.replica.attachment import Attachment, databases_of, socket_of
from atcgen.replica.lag import Known, is_behind, is_late, last_error, learn
from atcgen.system.logs import tail_since
from atcgen.system.replication import report

log = logging.getLogger("atc.agent")

_MERCY = 3.0  # seconds for a machine that stood still, whose copies are all late at first


class Gauge:
    """`databases` is what is known of each, by its name, since the present litestream is the one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.databases: dict[str, Known] = {}
        self.is_behind = False
        self.times_behind = 0
        self._late_since: float | None = None  # by the clock
        self._of: Attachment | None = None
        self._lock = asyncio.Lock()

    @property
    def copied_at(self) -> float:
        """When the store last had everything of all of them; 0 when that was not heard of."""
        return min((each.copied_at for each in self.databases.values()), default=0.0)

    def problem(self, now: float) -> str:
        """Why somebody should look, for people; '' when all is well."""
        if not self.is_behind or not self.databases:
            return ""
        worst = max(self.databases.values(), key=lambda each: each.lag(now))
        return f"the store is {worst.lag(now):.0f} s behind" + (f": {worst.error}" if worst.error else "")

    async def measure(self, plan: TenantPlan, attached: Attachment | None) -> None:
        """Look, if there is a copy that is the truth; one that does not answer falls behind."""
        if attached is None or not attached.is_published:
            self._begin(None)
            return
        async with self._lock:
            if self._of is not attached:
                self._begin(attached)
            names = {str(path): name for name, path in databases_of(plan).items()}
            try:
                found = await report(socket_of(plan))
            except AtcError:
                found = []
            now = time.time()
            for each in found:
                if each.path in names and each.txid and self._of is attached:
                    name = names[each.path]
                    self.databases[name] = learn(self.databases.get(name), each.txid, each.replicated_at or 0.0, now)
            self._judge(plan, now)

    def _begin(self, attached: Attachment | None) -> None:
        """Another litestream, or none: what was known is of the one before."""
        self._of, self.databases = attached, {}

    def _judge(self, plan: TenantPlan, now: float) -> None:
        assert plan.backup
        sync = plan.backup.sync
        late = [name for name, each in self.databases.items() if is_late(each.lag(now), sync)]
        if late:
            said = tail_since(Path(f"{plan.log}.replica.log"), 0)
            for name in late:
                self.databases[name] = replace(self.databases[name], error=last_error(said, name))
        behind = any(is_behind(each.lag(now), sync) for each in self.databases.values())
        if not behind:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = self._clock()
        if self._late_since is not None and self._clock() - self._late_since >= _MERCY and not self.is_behind:
            self.times_behind += 1
            self.is_behind = True
            log.warning("replica.behind tenant=%s reason=%r", plan.id, self.problem(now))
        elif self.is_behind and self.databases and not behind:
            self.is_behind = False
            log.warning("replica.caught_up tenant=%s", plan.id)
