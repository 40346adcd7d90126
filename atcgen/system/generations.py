"""Generations on disk: written whole beside the others, activated by one atomic rename."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from atcgen.compiler.render import Files

KEPT = 5


@dataclass(frozen=True)
class Generation:
    """A set of files on disk, named by its content."""

    digest: str
    path: Path


def digest(files: Files) -> str:
    """The name of a set of files: the same for the same content."""
    said = hashlib.sha256()
    for path in sorted(files):
        said.update(f"{path}\0{files[path]}\0".encode())
    return said.hexdigest()[:16]


def store(state: Path, files: Files, owners: Mapping[str, str] | None = None) -> Generation:
    """Write a generation, or find it already there; it is not active yet.

    `owners` says which files belong to which unix user: the launch scripts of tenants that run as somebody else.
    """
    name = digest(files)
    home = state / "generations"
    home.mkdir(parents=True, exist_ok=True)
    target = home / name
    if not target.is_dir():
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=home))
        write_files(fresh, files)
        for path, user in (owners or {}).items():
            shutil.chown(fresh / path, user)
        try:
            fresh.rename(target)
        except OSError:  # another process stored the same
            shutil.rmtree(fresh)
            if not target.is_dir():
                raise
    os.utime(target)
    return Generation(name, target)


def write_files(directory: Path, files: Files) -> None:
    """Write files below a directory; only the owner may read them, for they hold environments. Pages are for all."""
    directory.chmod(0o711)
    for path, text in files.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o711)
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")
        if path.startswith(("nginx/pages/", "index/")):
            file.chmod(0o644)


def active(state: Path) -> Generation | None:
    """The generation that `current` points to."""
    try:
        name = Path(os.readlink(state / "current")).name
    except OSError:
        return None
    path = state / "generations" / name
    return Generation(name, path) if path.is_dir() else None


def activate(state: Path, generation: Generation) -> None:
    """Point `current` to a generation, atomically."""
    fresh = state / f".current-{os.getpid()}"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("generations") / generation.digest)
    fresh.replace(state / "current")


def prune(state: Path) -> None:
    """Forget all but the newest generations and the active one."""
    keep = active(state)
    old = sorted((state / "generations").glob("[0-9a-f]*"), key=lambda each: each.stat().st_mtime, reverse=True)
    for path in old[KEPT:]:
        if keep is None or path.name != keep.digest:
            shutil.rmtree(path, ignore_errors=True)
    for path in (state / "sources").glob("[0-9a-f]*"):
        if not (state / "generations" / path.name).is_dir():
            path.unlink(missing_ok=True)


def remember_source(state: Path, generation: Generation, text: str) -> None:
    """Note the atc.yml from which a generation was made, for a start at which the file has errors."""
    home = state / "sources"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(prefix=".new-", dir=home)
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
    Path(fresh).replace(home / generation.digest)


def last_source(state: Path) -> str | None:
    """The atc.yml of the active generation: what ran last. None when nothing did."""
    generation = active(state)
    if generation is None:
        return None
    try:
        return (state / "sources" / generation.digest).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def read_files(generation: Generation) -> Files:
    """The files of a generation, as `store` was given them."""
    return {
        str(path.relative_to(generation.path)): path.read_text(encoding="utf-8")
        for path in sorted(generation.path.rglob("*"))
        if path.is_file()
    }
