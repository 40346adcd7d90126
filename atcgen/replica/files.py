"""Which files a tenant had, and which of its states are the truth: pure.

Each state has a manifest in the store, `files/eEPOCH.MILLISECONDS`, which is written after everything that it names.
The lease says which manifest is the truth; a manifest says with which one each earlier epoch ended, so that what a
former owner writes late is known to be nothing.
"""

from __future__ import annotations

import gzip
import json
import posixpath
import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from atcgen.system.store import Entry
from atcgen.system.tree import Stat, stays_inside

_VERSION = re.compile(r"e([1-9]\d*)\.(\d+)")
_BLOB = re.compile(r"[1-9]\d*/[0-9a-f]{64}")
_TOO_FRESH = 2 * 10**9  # nanoseconds; a change so soon after another one may have the same time
HOUR, DAY = 3600.0, 86_400.0
GRACE = DAY


@dataclass(frozen=True, order=True)
class Version:
    """A state: of which epoch of the lease, and when it was looked at, in milliseconds since 1970."""

    epoch: int
    taken: int

    def __str__(self) -> str:
        return f"e{self.epoch}.{self.taken}"

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """From text; None for what is none."""
        found = _VERSION.fullmatch(text)
        return cls(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class File:
    """A file; `blob` is where its content is: the epoch in which it was written, and its SHA-256."""

    size: int
    mtime_ns: int
    mode: int
    blob: str

    @property
    def digest(self) -> str:
        """The SHA-256 of its content."""
        return self.blob.partition("/")[2]


@dataclass(frozen=True)
class Manifest:
    """A state of the files below `roots`, by names relative to the tenant's directory."""

    version: Version
    roots: tuple[str, ...]
    files: Mapping[str, File] = field(default_factory=dict)
    directories: Mapping[str, int] = field(default_factory=dict)  # their modes
    links: Mapping[str, str] = field(default_factory=dict)  # what they point to
    ends: tuple[Version, ...] = ()  # the last of each earlier epoch that had any
    tidied: float = 0  # when what nobody needs any more was deleted last, in seconds since 1970

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(each.size for each in self.files.values())

    def says_the_same(self, other: Manifest) -> bool:
        """Would a restore of either make the same files?"""
        content = [{"/": each.roots, **each.files, **each.directories, **each.links} for each in (self, other)]
        return content[0] == content[1]

    def to_bytes(self) -> bytes:
        """For the store."""
        said = {
            "version": str(self.version),
            "roots": self.roots,
            "files": {name: list(asdict(each).values()) for name, each in self.files.items()},
            "directories": dict(self.directories),
            "links": dict(self.links),
            "ends": [str(each) for each in self.ends],
            "tidied": self.tidied,
        }
        return gzip.compress(json.dumps(said).encode(), mtime=0)

    @classmethod
    def from_bytes(cls, body: bytes, version: Version) -> Manifest:
        """From the store. Raises `ValueError` when anything is wrong: restored, it could write anywhere."""
        try:
            said = json.loads(gzip.decompress(body))
            files = {name: _file(values) for name, values in said["files"].items()}
            directories = {name: _number(mode) for name, mode in said["directories"].items()}
            manifest = cls(
                _version(said["version"]),
                tuple(map(_text, said["roots"])),
                files,
                directories,
                {name: _text(target) for name, target in said["links"].items()},
                tuple(map(_version, said["ends"])),
                float(said["tidied"]),
            )
            if manifest.version != version:
                raise ValueError(f"it is that of {manifest.version}")
            _check_names(manifest)
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            OSError,
            EOFError,
            RecursionError,
            zlib.error,
        ) as problem:
            raise ValueError(str(problem)) from None
        return manifest

    def below(self, wanted: Collection[str]) -> Manifest:
        """What it says of some directories; they and its own may lie in each other."""
        roots = tuple(
            sorted({max(mine, other, key=len) for mine in self.roots for other in wanted if _nested(mine, other)})
        )

        def chosen(names: Mapping[str, Any]) -> dict[str, Any]:
            return {name: each for name, each in names.items() if any(_is_in(name, root) for root in roots)}

        return replace(
            self, roots=roots, files=chosen(self.files), directories=chosen(self.directories), links=chosen(self.links)
        )


def _is_in(name: str, root: str) -> bool:
    return name == root or name.startswith(f"{root}/")


def _nested(one: str, other: str) -> bool:
    return _is_in(one, other) or _is_in(other, one)


def _file(values: Any) -> File:
    size, mtime_ns, mode, blob = values
    if not _BLOB.fullmatch(blob):
        raise ValueError(f"{blob!r} is no digest")
    return File(_number(size), _number(mtime_ns, least=-(2**62)), _number(mode), blob)


def _number(value: Any, least: int = 0) -> int:
    if type(value) is not int or not least <= value < 2**63:
        raise ValueError(f"{value!r} is no such number")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _version(value: Any) -> Version:
    found = Version.parse(_text(value))
    if found is None:
        raise ValueError(f"{value!r} is no version")
    return found


def _check_names(manifest: Manifest) -> None:
    """Everything is below a root, in a directory that is named, and is one thing only."""
    names = [*manifest.files, *manifest.directories, *manifest.links]
    if len(set(names)) != len(names):
        raise ValueError("a name stands for two things")
    for name in names:
        root = next((each for each in manifest.roots if _is_in(name, each)), "")
        if not root or name != posixpath.normpath(name) or name.startswith(("/", "../")) or "\0" in name:
            raise ValueError(f"{name!r} is outside")
        if name != root and posixpath.dirname(name) not in manifest.directories:
            raise ValueError(f"{name!r} is in no directory")
        if name in manifest.links and not stays_inside(name, manifest.links[name], root):
            raise ValueError(f"{name!r} points outside")
    if not set(manifest.roots).isdisjoint({*manifest.files, *manifest.links}):
        raise ValueError("a file stands for a directory")


# Differences


def is_unchanged(known: File, now: Stat, read_at: int) -> bool:
    """Has a file still the content that was read at a time, in nanoseconds since 1970?"""
    same = (known.size, known.mtime_ns) == (now.size, now.mtime_ns)
    return same and abs(known.mtime_ns - read_at) > _TOO_FRESH


def next_version(epoch: int, now: float, last: Version | None) -> Version:
    """A version that is later than the last one of its epoch, whatever the clock says; `now` is in seconds."""
    taken = int(now * 1000)
    return Version(epoch, max(taken, last.taken + 1) if last and last.epoch == epoch else taken)


def ends_after(ends: Iterable[Version], last: Version | None, epoch: int, oldest: float) -> tuple[Version, ...]:
    """With which version each epoch before this one ended, but what was over at a time long ago."""
    known = sorted({*ends, *([last] if last and last.epoch < epoch else [])})
    followers = [*known[1:], None]
    return tuple(
        each for each, after in zip(known, followers, strict=False) if after is None or after.taken >= oldest * 1000
    )


# Which are the truth


def versions(entries: Iterable[Entry], prefix: str) -> list[Version]:
    """The manifests in a listing of the store, sorted; `prefix` is that of the tenant's files."""
    found = (Version.parse(each.key.removeprefix(f"{prefix}/")) for each in entries if each.key.startswith(prefix))
    return sorted(each for each in found if each)


def truths(known: Iterable[Version], current: Version, ends: Iterable[Version]) -> list[Version]:
    """Those that the lease pointed to, sorted: of each epoch those up to its end."""
    last = {each.epoch: each for each in (*ends, current)}
    return sorted(each for each in known if each.epoch in last and each <= last[each.epoch])


def at(true: Sequence[Version], seconds: float, epoch: int) -> Version | None:
    """The newest that is not younger than a time, and of no later epoch than was the truth then."""
    found = [each for each in true if each.epoch <= epoch and each.taken <= seconds * 1000]
    return found[-1] if found else None


def kept(true: Sequence[Version], now: float, retention: float) -> set[Version]:
    """Those that are needed to go back: all of the last day, one of each hour before, and the one that was the truth
    when the retention began."""
    chosen: dict[object, Version] = {}
    for each in true:
        age = now - each.taken / 1000
        bucket: object = each if age <= DAY else int(each.taken / 1000 // HOUR) if age <= retention else "before"
        chosen[bucket] = each  # the last of each
    return {*chosen.values(), *true[-1:]}


def abandoned(known: Iterable[Version], true: Collection[Version], epoch: int) -> set[Version]:
    """Those of earlier epochs that never became the truth, and never will."""
    return {each for each in known if each.epoch < epoch and each not in true}


def unreferenced(entries: Iterable[Entry], prefix: str, referenced: Collection[str], now: float) -> list[str]:
    """Keys of contents that nobody names, and that are older than the grace."""
    blobs = f"{prefix}/blobs/"
    return [
        each.key
        for each in entries
        if each.key.startswith(blobs) and each.key.removeprefix(blobs) not in referenced and each.modified < now - GRACE
    ]
