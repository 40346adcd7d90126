"""All databases of a tenant from one path of the store: whole, or not at all."""

from __future__ import annotations

import asyncio
import pwd
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import Unavailable
from atcgen.replica.attachment import databases_here
from atcgen.replica.lease import Lease
from atcgen.replica.site import Site
from atcgen.system.litestream import NotReplicated
from atcgen.system.restore import RestoreError, restore
from atcgen.system.sqlite import same_pages

_WITHIN = 600.0  # seconds for one database


@dataclass
class Progress:
    """How far a restore is; `total` is what the store holds of it, which is about what arrives."""

    total: int = 0
    done: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return min(1.0, sum(self.done.values()) / self.total) if self.total else 0.0


async def restore_all(site: Site, plan: TenantPlan, lease: Lease, progress: Progress) -> None:
    """Restore what a lease says is the truth. Raises `AtcError` when any of it is not there; nothing is left then."""
    assert plan.backup
    known = dict(lease.databases)
    there = await _sizes(site, plan, lease.path)
    missing = [each for each in known if each not in there]
    if missing or not there:
        raise Unavailable(f"{', '.join(missing) or 'everything'} is missing in {lease.path} of the store")
    progress.total, progress.done = sum(there.values()), {}
    made: list[Path] = []

    async def one(name: str) -> None:
        output = Path(plan.directory, name)
        async with site.restores:
            await restore(
                site.replica(plan.backup.key if plan.backup else "", lease.path, name),
                output,
                environ=site.environ,
                within=_WITHIN,
                txid=known.get(name) or None,
                owner=_owner(plan),
                mode=0o600 if plan.unix_user else 0o644,
                progress=lambda size: progress.done.__setitem__(name, size),
            )
        made.append(output)

    results = await asyncio.gather(*(one(each) for each in there), return_exceptions=True)
    problems = [each for each in results if isinstance(each, BaseException)]
    if problems:
        for each in made:  # half of them would be neither the truth nor nothing
            each.unlink(missing_ok=True)
        raise problems[0]


async def verify(site: Site, plan: TenantPlan, path: str, within: float) -> dict[str, int]:
    """Restore every database from a path and compare it with the one here; their transactions. Nobody has them open.

    Raises `NotReplicated` when they differ.
    """
    assert plan.backup
    found = {}
    for name, database in databases_here(plan).items():
        with tempfile.TemporaryDirectory(prefix=".verify-", dir=plan.directory) as scratch:
            copy = Path(scratch, "copy")
            replica = site.replica(plan.backup.key, path, name)
            try:
                found[name] = await restore(replica, copy, environ=site.environ, within=within)
            except RestoreError as problem:
                raise NotReplicated(f"{name} cannot be restored: {problem}") from None
            if not await asyncio.to_thread(same_pages, database, copy):
                raise NotReplicated(f"{name} differs from its copy in the store")
    return found


async def _sizes(site: Site, plan: TenantPlan, path: str) -> dict[str, int]:
    """Bytes in the store of each database that has anything there."""
    assert plan.backup
    prefix = f"{plan.backup.key}/{path}/"
    entries = await site.store.entries(prefix)
    names = [str(Path(each).relative_to(plan.directory)) for each in plan.databases]
    sizes = {name: sum(each.size for each in entries if each.key.startswith(f"{prefix}{name}/")) for name in names}
    return {name: size for name, size in sizes.items() if size}


def _owner(plan: TenantPlan) -> tuple[int, int] | None:
    with suppress(KeyError):
        found = pwd.getpwnam(plan.unix_user) if plan.unix_user else None
        return (found.pw_uid, found.pw_gid) if found else None
    return None
