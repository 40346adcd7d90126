"""A restore on trial: whether what is in the store is a whole database, and the one that is here."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError
from atcgen.replica.attachment import databases_here
from atcgen.replica.custodian import Custodian
from atcgen.replica.deletion import purge
from atcgen.replica.lease import Lease, read_lease
from atcgen.replica.progress import Progress
from atcgen.replica.restoring import missing, restore_moment, truth
from atcgen.replica.site import Vault
from atcgen.system.sqlite import NotCheckpointed, problem_of, same_pages

log = logging.getLogger("atc.agent")

_LOOK_EVERY = 60.0  # seconds; a machine may sleep through the time that was meant
_AFTER_A_START = 600.0


@dataclass(frozen=True)
class Drill:
    """How one went; `problem` is '' when it went well."""

    at: float  # seconds of the epoch
    tenant: str
    problem: str
    compared: bool  # with the databases here, which only those of a tenant at rest can be

    @classmethod
    def read(cls, file: Path) -> Drill | None:
        """The last one, if there was any."""
        try:
            return cls(**json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, file: Path) -> None:
        """Keep it for `atc status`."""
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")


async def keep_drilling(
    vault: Vault,
    custodians: Callable[[], Sequence[Custodian]],
    file: Path,
    scratch: Path,
    at_work: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Restore a tenant that is chosen by lot every so often, and write down how it went; `at_work` while it does."""
    begun, nobody_before = time.time(), 0.0
    while vault.plan.drill:
        await asyncio.sleep(_LOOK_EVERY)
        last = Drill.read(file)
        due = max(nobody_before, last.at + vault.plan.drill if last else begun + _AFTER_A_START)
        known = custodians()
        if time.time() >= due and known:
            with at_work():
                with suppress(AtcError):  # it is tried again the next time
                    await purge(vault, time.time())
                if chosen := await choose(vault, known):
                    await drill(vault, chosen, file, scratch)
                else:
                    nobody_before = time.time() + _AFTER_A_START


async def choose(vault: Vault, custodians: Sequence[Custodian]) -> Custodian | None:
    """One that has a copy, by lot; None when none has. One of which that cannot be known has a problem to tell."""
    for each in random.sample(custodians, len(custodians)):
        try:
            lease = await _lease(vault, each.plan)
        except AtcError:
            return each
        if lease and lease.path:
            return each
    return None


async def drill(vault: Vault, custodian: Custodian, file: Path, scratch: Path) -> Drill:
    """One restore on trial; what came of it is written to a file and returned."""
    plan, problem, compared = custodian.plan, "", False
    try:
        compared = await _try(vault, custodian, scratch)
    except AtcError as found:
        problem = str(found)
    said = Drill(time.time(), plan.id, problem, compared)
    said.write(file)
    if problem:
        log.error("drill.failed tenant=%s reason=%r", plan.id, problem)
    else:
        log.info("drill.passed tenant=%s compared=%s", plan.id, compared)
    return said


async def _try(vault: Vault, custodian: Custodian, scratch: Path) -> bool:
    plan = custodian.plan
    lease = await _lease(vault, plan)
    if lease is None or not lease.path:
        return False  # it never ran
    with tempfile.TemporaryDirectory(prefix=".drill-", dir=scratch) as place:
        if gone := await missing(vault, plan, lease):
            raise AtcError(f"{', '.join(gone)} is missing in {lease.path} of the store")
        made = await restore_moment(vault, plan, truth(lease), Path(place), Progress())
        for each in made:
            complaint = await asyncio.to_thread(problem_of, each, thorough=True)
            if complaint:
                raise AtcError(f"the copy of {each.name} is damaged: {complaint}")
        if lease.held or not custodian.is_at_rest_with(lease):
            return False
        for name, database in databases_here(plan).items():
            try:
                same = await asyncio.to_thread(same_pages, database, Path(place, name))
            except (NotCheckpointed, FileNotFoundError):
                return False
            if not same and await _lease(vault, plan) == lease and custodian.is_at_rest_with(lease):
                raise AtcError(f"{name} differs from its copy")
    return True


async def _lease(vault: Vault, plan: TenantPlan) -> Lease | None:
    assert plan.backup
    return await read_lease(vault.store, plan.backup.lease, plan.id)
