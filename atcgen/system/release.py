"""Which release of the application is there, and which one a tenant's databases were prepared for."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from atcgen.compiler.plan import BuildPlan, TenantPlan

_SKIPPED = frozenset({"node_modules", "tmp", "log", "logs", "storage", "vendor", "data", "__pycache__", "coverage"})
_MOST_FILES = 20_000


class Releases:
    """What is in the directories of applications right now.

    Many tenants that wake at once share one look, provided that it began after they asked.
    """

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._begun: Counter[str] = Counter()
        self._seen: dict[str, tuple[int, str]] = {}  # application -> which look it was, and what it found

    async def stamp(self, plan: TenantPlan) -> str:
        """Names a release together with the command that prepares it."""
        return hashlib.sha256(repr((await self.name(plan), plan.prepare)).encode()).hexdigest()

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


def is_prepared(plan: TenantPlan, stamp: str) -> bool:
    """Were the databases, all of them there, prepared for this release and this command?"""
    try:
        said = Path(plan.directory, ".prepared").read_text(encoding="ascii")
    except OSError:
        return False
    return said == stamp and all(os.path.exists(each) for each in plan.databases)


def mark_pending(plan: TenantPlan, stamp: str) -> None:
    """Write down what is about to be prepared; the launch script renames it when that succeeded."""
    Path(plan.directory, ".prepare.pending").write_text(stamp, encoding="ascii")


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
