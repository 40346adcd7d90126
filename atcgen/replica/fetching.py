"""Files of a tenant from the store: all of them beside their place and checked, then put there by renames."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import Unavailable
from atcgen.replica import files
from atcgen.replica.attachment import databases_of
from atcgen.replica.files import Manifest, Version
from atcgen.replica.lease import Lease
from atcgen.replica.progress import Progress
from atcgen.replica.restoring import owner_of
from atcgen.replica.site import Vault
from atcgen.system.sqlite import COMPANIONS, companion, set_aside
from atcgen.system.tree import is_empty, move_into


class Damaged(Unavailable):
    """The store has answered, and a list of files is not there or cannot be used."""


SCRATCH = ".fetching-"
_AT_ONCE = 4


def prefix_of(plan: TenantPlan) -> str:
    """What the keys of its files begin with."""
    assert plan.backup
    return f"{plan.backup.key}/files"


def roots_of(plan: TenantPlan) -> list[str]:
    """Its directories of files, relative to its own."""
    return [str(Path(each).relative_to(plan.directory)) for each in plan.files]


def current(lease: Lease) -> Version | None:
    """Which state of the files is the truth; None when they were never copied."""
    found = Version.parse(lease.files)
    if lease.files and found is None:
        raise Unavailable(f"the lease of {lease.tenant} names {lease.files!r}, which is no list of files")
    return found


async def read(vault: Vault, plan: TenantPlan, version: Version) -> Manifest:
    """The list of files of a version. Raises `Damaged` or `StoreError`."""
    found = await vault.store.get(f"{prefix_of(plan)}/{version}")
    if found is None:
        raise Damaged(f"the list of files {version} of {plan.id} is missing in the store")
    try:
        return await asyncio.to_thread(Manifest.from_bytes, found.body, version)
    except ValueError as problem:
        raise Damaged(f"the list of files {version} of {plan.id} is damaged: {problem}") from None


async def truths(vault: Vault, plan: TenantPlan, lease: Lease) -> list[Version]:
    """The states of the files that can be restored, oldest first."""
    newest = current(lease)
    if newest is None:
        return []
    manifest = await read(vault, plan, newest)
    known = files.versions(await vault.store.entries(prefix_of(plan)), prefix_of(plan))
    return files.truths(known, newest, manifest.ends)


async def version_at(vault: Vault, plan: TenantPlan, lease: Lease, at: datetime | None, epoch: int) -> Version | None:
    """The state of the files at a time when the truth was of an epoch; the latest when no time is said. None when
    none was copied by then.
    """
    if at is None:
        return current(lease)
    return files.at(await truths(vault, plan, lease), at.timestamp(), epoch)


@dataclass(frozen=True)
class Fetched:
    """Files in a directory of their own, on the same disk as their place."""

    plan: TenantPlan
    manifest: Manifest
    scratch: Path

    def place(self, directory: Path, aside: Path | None = None) -> Path | None:
        """Put them below a directory. What is there moves to `aside`, or a new directory; databases stay.

        Out: where it moved to; None when nothing was there.
        """
        aside = put_aside(self.plan, self.manifest.roots, directory, aside)
        for root in self.manifest.roots:
            source, target = self.scratch / root, directory / root
            if is_empty(target):
                target.rmdir()
            if source.exists():
                self._make_parents(directory, target)
                move_into(source, target)
        return aside

    def _make_parents(self, directory: Path, target: Path) -> None:
        owner = owner_of(self.plan)
        for each in reversed(target.relative_to(directory).parents[:-1]):
            if not (directory / each).is_dir():
                (directory / each).mkdir()
                if owner:
                    os.chown(directory / each, *owner)


def put_aside(plan: TenantPlan, roots: Iterable[str], directory: Path, aside: Path | None) -> Path | None:
    """Move what is in directories of files below a directory to `aside`, or a new one; databases stay.

    Out: where it moved to; None when nothing was there.
    """
    found = [directory / each for each in databases_of(plan)]
    kept = {companion(each, suffix) for each in found for suffix in ("", *COMPANIONS)}
    for root in roots:
        target = directory / root
        if os.path.lexists(target) and not is_empty(target) and _is_occupied(target, kept):
            aside = aside or set_aside([], directory, datetime.now(UTC))
            move_into(target, aside / root, kept)
    return aside


def _is_occupied(target: Path, kept: Collection[Path]) -> bool:
    """Is anything there besides databases?"""
    if not target.is_dir() or target.is_symlink():
        return True
    found = (Path(folder, name) for folder, _, names in os.walk(target) for name in names)
    return any(each not in kept for each in found)


def in_the_way(directory: Path, manifest: Manifest) -> list[str]:
    """Which of its directories exist below a directory already, and are not empty."""
    return [each for each in manifest.roots if os.path.lexists(directory / each) and not is_empty(directory / each)]


@asynccontextmanager
async def fetched(
    vault: Vault, plan: TenantPlan, version: Version, directory: Path, progress: Progress
) -> AsyncIterator[Fetched]:
    """Have a state of the files beside their place, as long as the block lasts. Raises `AtcError` when any is missing
    or damaged; nothing but the scratch directory was touched then.
    """
    manifest = (await read(vault, plan, version)).below(roots_of(plan))
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=directory))
    try:
        await _fetch(vault, plan, manifest, scratch, progress)
        yield Fetched(plan, manifest, scratch)
    except OSError as problem:
        raise Unavailable(f"the files of {plan.id} cannot be written: {problem}") from None
    finally:
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)


def remove_leftovers(directory: Path) -> None:
    """Remove what those left who were killed as they fetched."""
    for each in directory.glob(f"{SCRATCH}*"):
        shutil.rmtree(each, ignore_errors=True)


async def verify(vault: Vault, plan: TenantPlan, version: Version, scratch: Path) -> tuple[Manifest, dict[str, str]]:
    """Read every content of a state and compare its digest: the list of files, and what is wrong with which."""
    manifest = await read(vault, plan, version)
    problems: dict[str, str] = {}
    for blob, names in _by_blob(manifest).items():
        path = scratch / ".content"
        problem = await _problem(vault, plan, blob, path)
        path.unlink(missing_ok=True)
        problems |= {name: problem for name in names if problem}
    return manifest, problems


async def _fetch(vault: Vault, plan: TenantPlan, manifest: Manifest, scratch: Path, progress: Progress) -> None:
    for name in sorted(manifest.directories):
        (scratch / name).mkdir(parents=True, mode=0o700, exist_ok=True)
    left = iter(_by_blob(manifest).items())
    progress.begin("files", {name: each.size for name, each in manifest.files.items()})
    try:
        results = await asyncio.gather(
            *(_work(vault, plan, manifest, left, scratch, progress) for _ in range(_AT_ONCE)), return_exceptions=True
        )
    finally:
        progress.end()
    problems = [each for each in results if isinstance(each, BaseException)]
    if problems:
        raise problems[0]
    await asyncio.to_thread(_finish, plan, manifest, scratch)


async def _work(
    vault: Vault,
    plan: TenantPlan,
    manifest: Manifest,
    left: Iterator[tuple[str, list[str]]],
    scratch: Path,
    progress: Progress,
) -> None:
    """One of those that share the work, until nothing is left or something is wrong."""
    for blob, (first, *others) in left:
        progress.follow(first, partial(_size_of, scratch / first))
        try:
            problem = await _problem(vault, plan, blob, scratch / first)
            if problem:
                raise Unavailable(f"the file {first} of {plan.id} {problem}")
        except BaseException:
            for _ in left:  # nobody needs the rest
                pass
            raise
        for each in others:
            await asyncio.to_thread(shutil.copyfile, scratch / first, scratch / each)
        for each in (first, *others):
            progress.reached(each, manifest.files[each].size)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


async def _problem(vault: Vault, plan: TenantPlan, blob: str, path: Path) -> str:
    """Fetch a content; what is wrong with it."""
    digest = await vault.store.get_file(f"{prefix_of(plan)}/blobs/{blob}", path)
    if digest is None:
        return "is missing in the store"
    return "" if blob.endswith(f"/{digest}") else "is damaged in the store"


def _by_blob(manifest: Manifest) -> dict[str, list[str]]:
    """Which files have which content."""
    found: dict[str, list[str]] = {}
    for name, each in manifest.files.items():
        found.setdefault(each.blob, []).append(name)
    return found


def _finish(plan: TenantPlan, manifest: Manifest, scratch: Path) -> None:
    """Owners, modes and times; symlinks last, so that nothing is written through one."""
    owner = owner_of(plan)
    for name, each in manifest.files.items():
        if owner:
            os.chown(scratch / name, *owner)  # before the mode, of which it would take some
        os.chmod(scratch / name, each.mode)
        os.utime(scratch / name, ns=(each.mtime_ns, each.mtime_ns))
    for name, target in manifest.links.items():
        os.symlink(target, scratch / name)
        if owner:
            os.chown(scratch / name, *owner, follow_symlinks=False)
    for name in sorted(manifest.directories, reverse=True):
        if owner:
            os.chown(scratch / name, *owner)
        os.chmod(scratch / name, manifest.directories[name])
