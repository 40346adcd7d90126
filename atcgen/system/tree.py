"""Directories of a tenant as they are on the disk: looked through, hashed, moved. Nothing here follows a symlink."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from atcgen.system.sqlite import COMPANIONS

# Files and directories of atc's own, which stand beside databases.
_OURS = (".custody", ".prepare", ".stale-", ".restoring-", ".verify-", ".rewind-", ".fetching-")


@dataclass(frozen=True)
class Stat:
    """What is known of a file without reading it."""

    size: int
    mtime_ns: int
    mode: int


@dataclass
class Tree:
    """What is below some directories, by names relative to what holds them; `left_out` has sentences for people."""

    files: dict[str, Stat] = field(default_factory=dict)
    directories: dict[str, int] = field(default_factory=dict)  # their modes
    links: dict[str, str] = field(default_factory=dict)  # what they point to
    left_out: list[str] = field(default_factory=list)


def look_through(base: Path, roots: Sequence[str], databases: Collection[str]) -> Tree:
    """Everything below the `roots` of `base` but the databases and what stands beside them for SQLite and atc."""
    tree = Tree()
    kept_out = {each + suffix for each in databases for suffix in ("", *COMPANIONS)}
    with_databases = {posixpath.dirname(each) for each in databases}
    for root in roots:
        try:
            found = os.lstat(base / root)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(found.st_mode):
            tree.left_out.append(f"{root} is no directory")
            continue
        tree.directories[root] = stat.S_IMODE(found.st_mode)
        left = [root]
        while left:
            folder = left.pop()
            for entry in _entries(base, folder, tree):
                name = f"{folder}/{entry.name}"
                is_ours = folder in with_databases and entry.name.startswith(_OURS)
                if name not in kept_out and not is_ours and _note(tree, entry, name, root, base):
                    left.append(name)
    return tree


def _entries(base: Path, folder: str, tree: Tree) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(base / folder) as entries:
            yield from entries
    except FileNotFoundError:
        pass  # it was removed meanwhile
    except OSError as problem:
        tree.left_out.append(f"{folder} cannot be read: {problem.strerror}")


def _note(tree: Tree, entry: os.DirEntry[str], name: str, root: str, base: Path) -> bool:
    """Note what an entry is; True for a directory."""
    try:
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            target = os.readlink(entry.path)
            if stays_inside(name, target, root) and _is_below(os.path.realpath(entry.path), base / root):
                tree.links[name] = target
            else:
                tree.left_out.append(f"{name} points out of {root}")
        elif stat.S_ISDIR(found.st_mode):
            tree.directories[name] = stat.S_IMODE(found.st_mode)
            return True
        elif stat.S_ISREG(found.st_mode):
            tree.files[name] = Stat(found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode))
        else:
            tree.left_out.append(f"{name} is neither a file nor a directory")
    except FileNotFoundError:
        pass
    return False


def stays_inside(link: str, target: str, root: str) -> bool:
    """Does a symlink point to something below `root`, by its words alone? An absolute one does not."""
    if target.startswith("/"):
        return False
    reached = posixpath.normpath(f"{posixpath.dirname(link)}/{target}")
    return reached == root or reached.startswith(f"{root}/")


def _is_below(path: str, root: Path) -> bool:
    return Path(path).is_relative_to(os.path.realpath(root))


def digest_of(path: Path) -> tuple[str, Stat]:
    """The SHA-256 of a file and what it was when it was read. Raises `OSError`."""
    with open(path, "rb", opener=_not_through_a_link) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        found = os.fstat(file.fileno())
        return digest, Stat(found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode))


def _not_through_a_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def move_into(source: Path, target: Path, kept: Collection[Path] = ()) -> None:
    """Move a directory to where nothing is, or its content into the directory that is there, but what is in `kept`."""
    holds_kept = any(each.is_relative_to(source) for each in kept)
    if not holds_kept and not os.path.lexists(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
        return
    if not target.is_dir():
        target.mkdir(parents=True)
    for each in list(source.iterdir()):
        if each in kept:
            continue
        other = target / each.name
        if each.is_dir() and not each.is_symlink() and (other.is_dir() or any(k.is_relative_to(each) for k in kept)):
            move_into(each, other, kept)
        else:
            each.rename(other)
    if not holds_kept:
        treat_as(target, source.stat())
        source.rmdir()


def treat_as(path: Path, found: os.stat_result) -> None:
    """Give a path the owner and the mode of another one."""
    there = path.stat()
    if (there.st_uid, there.st_gid) != (found.st_uid, found.st_gid):
        os.chown(path, found.st_uid, found.st_gid)
    path.chmod(stat.S_IMODE(found.st_mode))


def is_empty(directory: Path) -> bool:
    """Is it a directory with nothing in it?"""
    return directory.is_dir() and not directory.is_symlink() and not any(directory.iterdir())
