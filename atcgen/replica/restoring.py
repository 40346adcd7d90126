"""All databases of a tenant from one path of the store: whole, or not at all."""

from __future__ import annotations

import asyncio
import pwd
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import AtcError, Unavailable
from atcgen.replica import ltx
from atcgen.replica.attachment import databases_here, databases_of
from atcgen.replica.lease import Lease, read_lease
from atcgen.replica.progress import Progress
from atcgen.replica.site import Vault
from atcgen.system.litestream import NotReplicated
from atcgen.system.restore import RestoreError, restore
from atcgen.system.sqlite import same_pages
from atcgen.system.store import Entry

_WITHIN = 600.0  # seconds for one database


@dataclass(frozen=True)
class Moment:
    """A state of all databases of a tenant: the latest of a path, unless something says which."""

    path: str
    transactions: Mapping[str, int] = field(default_factory=dict)  # of those that are known
    at: datetime | None = None


async def restore_all(vault: Vault, plan: TenantPlan, lease: Lease, progress: Progress) -> None:
    """Restore what a lease says is the truth. Raises `AtcError` when any of it is not there; nothing is left then."""
    await restore_moment(vault, plan, truth(lease), Path(plan.directory), progress)


def truth(lease: Lease) -> Moment:
    """What a lease says is the truth."""
    return Moment(lease.path, {name: txid for name, txid in lease.databases if txid})


async def missing(vault: Vault, plan: TenantPlan, lease: Lease, otherwise: Iterable[str] = ()) -> list[str]:
    """The databases of which the truth has nothing, though it should.

    Which there are, a lease says that was given back, or else those that are here; `otherwise` when nothing says it.
    """
    names = [name for name, _ in lease.databases] or list(databases_here(plan)) or list(otherwise)
    there = await _files(vault, plan, lease.path)
    return [each for each in names if each not in there]


async def restore_moment(
    vault: Vault, plan: TenantPlan, moment: Moment, directory: Path, progress: Progress
) -> list[Path]:
    """Restore every database of a moment below a directory: the files. All of them, or none and an `AtcError`."""
    assert plan.backup
    key = plan.backup.key
    there = await _files(vault, plan, moment.path)
    gone = [each for each in moment.transactions if each not in there]
    if gone or not there:
        said = "are missing" if len(gone) > 1 else "is missing"
        raise Unavailable(f"{', '.join(gone) or 'everything'} {said} in {moment.path} of the store")
    progress.begin("databases", {name: sum(each.size for each in files) for name, files in there.items()})
    made: list[Path] = []

    async def one(name: str) -> None:
        txid = moment.transactions.get(name)
        measured = _measured(vault, there[name], txid, lambda size: progress.correct(name, size))
        async with vault.restores, measured:
            await restore(
                vault.replica(key, moment.path, name),
                directory / name,
                environ=vault.environ,
                within=_WITHIN,
                txid=txid,
                timestamp=moment.at,
                owner=owner_of(plan),
                mode=0o600 if plan.unix_user else 0o644,
                progress=lambda size: progress.reached(name, size),
            )
        made.append(directory / name)

    try:
        results = await asyncio.gather(*(one(each) for each in there), return_exceptions=True)
    finally:
        progress.end()
    problems = [each for each in results if isinstance(each, BaseException)]
    if problems:
        for each in made:  # half of them would be neither the truth nor nothing
            each.unlink(missing_ok=True)
        raise problems[0]
    return [directory / name for name in there]


async def verify(vault: Vault, plan: TenantPlan, path: str, within: float) -> dict[str, int]:
    """Restore every database from a path and compare it with the one here; their transactions. Nobody has them open.

    Raises `NotReplicated` when they differ.
    """
    assert plan.backup
    found = {}
    for name, database in databases_here(plan).items():
        with tempfile.TemporaryDirectory(prefix=".verify-", dir=plan.directory) as scratch:
            copy = Path(scratch, "copy")
            replica = vault.replica(plan.backup.key, path, name)
            try:
                found[name] = await restore(replica, copy, environ=vault.environ, within=within)
            except RestoreError as problem:
                raise NotReplicated(f"{name} cannot be restored: {problem}") from None
            if not await asyncio.to_thread(same_pages, database, copy):
                raise NotReplicated(f"{name} differs from its copy in the store")
    return found


async def stored_sizes(vault: Vault, plan: TenantPlan) -> dict[str, int]:
    """Bytes in the store, on the path that is the truth, of each database that has anything there."""
    assert plan.backup
    lease = await read_lease(vault.store, plan.backup.lease, plan.id)
    if lease is None or not lease.path:
        return {}
    return {name: sum(each.size for each in files) for name, files in (await _files(vault, plan, lease.path)).items()}


async def _files(vault: Vault, plan: TenantPlan, path: str) -> dict[str, list[Entry]]:
    """What the store has of each database that has anything there."""
    assert plan.backup
    prefix = f"{plan.backup.key}/{path}"
    entries = [each for each in await vault.store.entries(prefix) if each.size]
    found = {
        name: [each for each in entries if each.key.startswith(f"{prefix}/{name}/")] for name in databases_of(plan)
    }
    return {name: files for name, files in found.items() if files}


@asynccontextmanager
async def _measured(
    vault: Vault, files: list[Entry], txid: int | None, tell: Callable[[int], None]
) -> AsyncIterator[None]:
    """Find out meanwhile how large a database will be: the store holds more of it, or less, and compressed."""

    async def measure() -> None:
        newest = ltx.newest(files, txid)
        with suppress(AtcError):  # nothing but what is shown depends on it
            size = ltx.database_size((newest and await vault.store.get_first(newest.key, ltx.HEADER_SIZE)) or b"")
            if size:
                tell(size)

    measuring = asyncio.ensure_future(measure())
    try:
        yield
    finally:
        measuring.cancel()


def owner_of(plan: TenantPlan) -> tuple[int, int] | None:
    """Whom the tenant's files belong to; None for who runs atc."""
    with suppress(KeyError):
        found = pwd.getpwnam(plan.unix_user) if plan.unix_user else None
        return (found.pw_uid, found.pw_gid) if found else None
    return None
