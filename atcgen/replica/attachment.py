"""One run of litestream for a tenant: a path in the store and a meta directory that nobody used before."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import BackupPlan, TenantPlan
from atcgen.replica.site import Site
from atcgen.system.litestream import NotReplicated, Replica, Source, configuration, publish_once
from atcgen.system.processes import runs
from atcgen.system.replication import holds_read_lock, sync, wait_until_replicated

_LOOK_AGAIN = 0.2  # seconds, for databases that the application has yet to make
_TIME_TO_END = 12.0


@dataclass
class Attachment:
    """`inodes` are of the databases as they were found: one that is replaced is not followed by litestream."""

    path: str
    pid: int = 0
    inodes: dict[str, int] = field(default_factory=dict)
    is_published: bool = False  # the path is the truth

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return dict(vars(self))


def databases_of(plan: TenantPlan) -> dict[str, Path]:
    """The databases that a tenant may have, by their names below its directory."""
    return {str(each.relative_to(plan.directory)): each for each in map(Path, plan.databases)}


def databases_here(plan: TenantPlan) -> dict[str, Path]:
    """Those of them that are here and not empty."""
    found = {}
    for name, each in databases_of(plan).items():
        with suppress(OSError):
            if each.stat().st_size:
                found[name] = each
    return found


def socket_of(plan: TenantPlan) -> str:
    """Where litestream is asked about a tenant."""
    assert plan.backup
    return f"{plan.backup.directory}/s"


def write_configuration(site: Site, plan: TenantPlan, path: str) -> Path:
    """What litestream shall do, for one path; the meta directories of earlier ones go."""
    assert plan.backup
    directory = Path(plan.backup.directory)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in directory.glob("meta-*"):
        shutil.rmtree(old, ignore_errors=True)
    Path(socket_of(plan)).unlink(missing_ok=True)
    sources = [
        Source(str(database), f"{directory}/meta-{path}/{number}", _way(site, plan.backup, path, name))
        for number, (name, database) in enumerate(databases_of(plan).items())
    ]
    file = directory / "litestream.yml"
    file.write_text(
        configuration(
            sources,
            socket=socket_of(plan),
            sync_interval=plan.backup.sync,
            snapshot_every=plan.backup.snapshots,
            keep_snapshots=plan.backup.retention,
        ),
        encoding="utf-8",
    )
    return file


def _way(site: Site, backup: BackupPlan, path: str, name: str) -> Replica:
    """Where litestream copies to. Directories by way of a symlink to what the lease is in, which claiming has made.

    Below it litestream makes what is missing; but when the disk of the store is unmounted, the symlink leads nowhere,
    and litestream cannot make another store in the place of the one that it believes to have what it sent there.
    """
    there = site.replica(backup.key, path, name)
    if not site.plan.directories:
        return there
    link = Path(backup.directory, "store")
    link.unlink(missing_ok=True)
    link.symlink_to(f"{site.plan.directories[0]}/{backup.key}")
    return Replica(f"file://{link}/{path}/{name}")


async def wait_for_first_copy(plan: TenantPlan, patience: float) -> dict[str, int]:
    """Wait until there are databases and all of them are in the store; their inodes."""
    while True:
        found = databases_here(plan)
        if found:
            break
        await asyncio.sleep(_LOOK_AGAIN)
    inodes = {name: each.stat().st_ino for name, each in found.items()}
    for each in found.values():
        await wait_until_replicated(socket_of(plan), str(each), patience)
    return inodes


def is_guarded(plan: TenantPlan, attachment: Attachment) -> bool:
    """Does litestream hold what keeps the application from overwriting what was not copied, in every database?"""
    found = databases_here(plan)
    return all(
        found[name].stat().st_ino == inode and holds_read_lock(found[name], attachment.pid)
        for name, inode in attachment.inodes.items()
        if name in found
    )


async def copy_the_last(plan: TenantPlan, attachment: Attachment, within: float) -> dict[str, int]:
    """With nobody writing any more: wait until everything is in the store; the transactions that are.

    Raises `NotReplicated`, also when a database is not the file that litestream follows.
    """
    done = {}
    for name, database in databases_here(plan).items():
        if attachment.inodes.get(name, database.stat().st_ino) != database.stat().st_ino:
            raise NotReplicated(f"{name} was replaced by another file")
        done[name] = (await sync(socket_of(plan), str(database), wait=True, timeout=within)).replicated
    return done


async def end(pid: int, number: signal.Signals) -> None:
    """End a litestream, and wait until it is gone."""
    if not runs(pid):
        return
    with suppress(OSError):
        os.killpg(pid, number)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _TIME_TO_END
    while runs(pid):
        if loop.time() > deadline:
            with suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)


async def publish_at_rest(site: Site, plan: TenantPlan, path: str, within: float) -> None:
    """Copy databases that nobody has open to a path of their own."""
    await publish_once(write_configuration(site, plan, path), site.environ, within)
