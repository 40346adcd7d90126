"""Which release of the application a tenant's databases were prepared for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from atcgen.compiler.plan import TenantPlan

_SKIPPED = frozenset({"node_modules", "tmp", "log", "logs", "storage", "vendor", "data", "__pycache__", "coverage"})
_MOST_FILES = 20_000


def is_prepared(plan: TenantPlan) -> bool:
    """Were the databases, all of them there, prepared for this release and this command?"""
    try:
        said = Path(plan.directory, ".prepared").read_text(encoding="ascii")
    except OSError:
        return False
    return said == stamp(plan) and all(os.path.exists(each) for each in plan.databases)


def mark_pending(plan: TenantPlan) -> None:
    """Write down what is about to be prepared; the launch script renames it when that succeeded."""
    Path(plan.directory, ".prepare.pending").write_text(stamp(plan), encoding="ascii")


def stamp(plan: TenantPlan) -> str:
    """Names a release together with the command that prepares it."""
    release = plan.release or _fingerprint(Path(plan.root))
    return hashlib.sha256(repr((release, plan.prepare)).encode()).hexdigest()


def _fingerprint(root: Path) -> str:
    said = hashlib.sha256(os.path.realpath(root).encode())
    for number, (path, stat) in enumerate(_files(root)):
        if number >= _MOST_FILES:
            break
        said.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return said.hexdigest()


def _files(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The files of a release in a stable order, without what changes as it runs."""
    try:
        entries = sorted(os.scandir(directory), key=lambda each: each.name)
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED or ".sqlite3" in entry.name:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file():
            yield entry.path, entry.stat()
