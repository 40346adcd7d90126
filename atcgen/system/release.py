"""Which release of the application is there, and which one a tenant's databases were prepared for."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from atcgen.compiler.plan import BuildPlan, MigrationsPlan, TenantPlan
from atcgen.system.sqlite import values

_SKIPPED = frozenset({"node_modules", "tmp", "log", "logs", "storage", "vendor", "data", "__pycache__", "coverage"})
_MOST_FILES = 20_000
_PREPARED, _PENDING = ".prepared", ".prepare.pending"  # as the launch script has them


class Releases:
    """What is in the directories of applications right now.

    Many tenants that wake at once share one look, provided that it began after they asked.
    """

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._begun: Counter[str] = Counter()
        self._seen: dict[str, tuple[int, str]] = {}  # application -> which look it was, and what it found

    async def stamp(self, plan: TenantPlan) -> str:
        """Names a release, and behind a space the command that prepares it."""
        return f"{_digest(await self.name(plan))} {_digest(plan.prepare)}"

    async def name(self, plan: TenantPlan) -> str:
        """Names a release."""
        private = plan.private.paths if plan.private else ()
        return plan.release or await self.fingerprint(plan.root, private)

    async def built(self, plan: BuildPlan) -> str:
        """Names a release together with the command that builds it."""
        name = plan.release or await self.fingerprint(plan.root, plan.private)
        return hashlib.sha256(repr((name, plan.run)).encode()).hexdigest()

    async def fingerprint(self, root: str, private: tuple[str, ...] = ()) -> str:
        """Names what is in the directory of an application, but for what is each tenant's own."""
        key = "\0".join((root, *private))
        begun = self._begun[key]
        async with self._locks[key]:
            number, found = self._seen.get(key, (0, ""))
            if number <= begun:
                self._begun[key] = number = begun + 1
                found = await asyncio.to_thread(_fingerprint, Path(root), private)
                self._seen[key] = number, found
            return found


async def is_up_to_date(plan: TenantPlan, stamp: str) -> bool:
    """Can a tenant be started as its databases are? A release that brings no new migration is noted as prepared."""
    return is_prepared(plan, stamp) or await asyncio.to_thread(_brings_nothing, plan, stamp)


def _brings_nothing(plan: TenantPlan, stamp: str) -> bool:
    """That takes a command that prepared them once, for it may do more than to migrate, and has not failed since."""
    is_same_command = _said(plan).partition(" ")[2] == stamp.partition(" ")[2]
    if not plan.migrations or not is_same_command or not _are_here(plan) or Path(plan.directory, _PENDING).exists():
        return False
    if not _has_every_migration(plan, plan.migrations):
        return False
    fresh = Path(plan.directory, f"{_PREPARED}.new")
    fresh.write_text(stamp, encoding="ascii")
    fresh.replace(fresh.with_name(_PREPARED))
    return True


def forget_prepared(plan: TenantPlan) -> None:
    """Its databases are others now, and perhaps older than what was noted."""
    Path(plan.directory, _PREPARED).unlink(missing_ok=True)


def _has_every_migration(plan: TenantPlan, said: MigrationsPlan) -> bool:
    names = {found[1] for each in _matching(plan.root, said.files) if (found := re.search(said.name, each))}
    return bool(names) and names <= values(Path(plan.databases[0]), said.table, said.column)


def _matching(root: str, pattern: str) -> list[str]:
    """Paths below a directory, relative to it."""
    return [each.relative_to(root).as_posix() for each in Path(root).glob(pattern)]


def is_prepared(plan: TenantPlan, stamp: str) -> bool:
    """Were the databases, all of them there, prepared for this release and this command?"""
    return _said(plan) == stamp and _are_here(plan)


def _said(plan: TenantPlan) -> str:
    """The stamp of what prepared its databases last."""
    try:
        return Path(plan.directory, _PREPARED).read_text(encoding="ascii")
    except OSError:
        return ""


def _are_here(plan: TenantPlan) -> bool:
    return all(os.path.exists(each) for each in plan.databases)


def mark_pending(plan: TenantPlan, stamp: str) -> None:
    """Write down what is about to be prepared; the launch script renames it when that succeeded."""
    Path(plan.directory, _PENDING).write_text(stamp, encoding="ascii")


def _digest(said: object) -> str:
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _fingerprint(root: Path, private: tuple[str, ...] = ()) -> str:
    said = hashlib.sha256(os.path.realpath(root).encode())
    without = frozenset(str(root / each) for each in private)
    for number, (path, stat) in enumerate(_files(root, without)):
        if number >= _MOST_FILES:
            break
        said.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return said.hexdigest()


def _files(directory: Path, without: frozenset[str]) -> Iterator[tuple[str, os.stat_result]]:
    """The files of a release in a stable order, without what changes as it runs."""
    try:
        entries = sorted(os.scandir(directory), key=lambda each: each.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED or ".sqlite3" in entry.name:
            continue
        if entry.path in without:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path), without)
        elif entry.is_file():
            yield entry.path, entry.stat()
