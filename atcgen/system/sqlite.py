"""SQLite files as files: put the log back into them, compare them, move them out of the way.

Everything that writes is for a database that nobody else has open; Litestream counts as somebody.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from atcgen.errors import AtcError

COMPANIONS = ("-wal", "-shm", "-journal")
_HEADER = 100
# How often the file changed, and which library wrote it last: equal databases differ in these.
_UNIMPORTANT = (slice(24, 28), slice(92, 100))
_AT_ONCE = 1 << 20
_SECONDS_TO_WAIT = 0.1


class NotCheckpointed(AtcError):
    """A database is not one file alone: somebody has it open, or it cannot be read."""


def checkpoint(path: Path) -> None:
    """Put all that is committed into the file itself, so that no -wal remains; rolls back what was not committed.

    Raises `NotCheckpointed` when somebody else has it open, when it is no database and when there is none.
    """
    try:
        with closing(_connect(path)) as database:
            database.execute("PRAGMA schema_version").fetchone()  # reads the file, which the next one need not
            busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as problem:
        raise NotCheckpointed(f"{path} cannot be checkpointed: {problem}") from None
    # The last connection that closes removes the log. If it is still there, ours was not the last.
    if busy or companion(path, "-wal").exists():
        raise NotCheckpointed(f"{path} cannot be checkpointed: somebody has it open")


def problem_of(path: Path, *, thorough: bool = False) -> str:
    """The first complaint of SQLite about a database, '' when it has none; thorough compares the indexes too.

    It puts a -wal back into the file, like any connection that is the last to close.
    """
    try:
        with closing(_connect(path)) as database:
            said = database.execute(f"PRAGMA {'integrity' if thorough else 'quick'}_check(1)").fetchone()[0]
    except sqlite3.Error as problem:
        return str(problem)
    return "" if said == "ok" else str(said)


def values(path: Path, table: str, column: str) -> set[str]:
    """What a column holds, as text, in a database that others may have open; nothing where there is no such column."""
    where = f"file:{quote(os.path.abspath(path))}?mode=ro"
    quoted = (f'"{each.replace(chr(34), chr(34) * 2)}"' for each in (column, table))
    try:
        with closing(sqlite3.connect(where, uri=True, timeout=_SECONDS_TO_WAIT)) as database:
            return {str(row[0]) for row in database.execute("SELECT {} FROM {}".format(*quoted))}
    except sqlite3.Error:
        return set()


def adopt(source: Path, target: Path) -> None:
    """Make a copy of a database that may be in use, whole or not at all; nothing may be at `target`.

    Raises `NotCheckpointed` for what is no database.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".adopting-{target.name}")
    remove_companions(fresh)
    fresh.unlink(missing_ok=True)
    try:
        with closing(_connect(source)) as old, closing(sqlite3.connect(fresh)) as new:
            old.backup(new)
    except sqlite3.Error as problem:
        fresh.unlink(missing_ok=True)
        raise NotCheckpointed(f"{source} is no database: {problem}") from None
    shutil.copystat(source, fresh)
    flush(fresh)
    os.link(fresh, target)
    fresh.unlink()
    flush(target.parent)


def same_pages(one: Path, other: Path) -> bool:
    """Have two databases the same content, byte for byte? What a header says of writers is left out.

    Both must be checkpointed: `NotCheckpointed` when a log beside one of them has anything in it.
    """
    for each in (one, other):
        log = companion(each, "-wal")
        if log.exists() and log.stat().st_size:
            raise NotCheckpointed(f"{each} has a log beside it")
    with one.open("rb") as left, other.open("rb") as right:
        if os.fstat(left.fileno()).st_size != os.fstat(right.fileno()).st_size or _header(left) != _header(right):
            return False
        while content := left.read(_AT_ONCE):
            if content != right.read(_AT_ONCE):
                return False
        return not right.read(1)


def remove_companions(path: Path) -> None:
    """Remove the -wal, -shm and -journal beside a path.

    A log that belongs to another state of a database is applied without complaint and destroys it.
    """
    for each in COMPANIONS:
        companion(path, each).unlink(missing_ok=True)


def set_aside(paths: Iterable[Path], directory: Path, when: datetime) -> Path:
    """Move databases with their companions into a new directory `.stale-YYYYmmddTHHMMSSZ` below `directory`.

    Out: that directory. Inside, a path is what it was below `directory`. Nothing is ever deleted.
    """
    aside = _new_directory(directory, f".stale-{when.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    changed = {aside, directory}
    for path in paths:
        target = aside / (path.relative_to(directory) if path.is_relative_to(directory) else path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        # The database goes first: without its log it would look whole, but old.
        for old, new in ((path, target), *((companion(path, e), companion(target, e)) for e in COMPANIONS)):
            if old.exists():
                old.rename(new)
        changed |= {path.parent, target.parent}
    for each in changed:
        if each.exists():
            flush(each)
    return aside


def companion(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside a database."""
    return path.with_name(path.name + suffix)


def flush(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that never creates a database."""
    where = f"file:{quote(os.path.abspath(path))}?mode=rw"
    return sqlite3.connect(where, uri=True, timeout=_SECONDS_TO_WAIT, isolation_level=None)


def _header(file: BinaryIO) -> bytes:
    header = bytearray(file.read(_HEADER))
    for each in _UNIMPORTANT:
        header[each] = bytes(len(header[each]))
    return bytes(header)


def _new_directory(parent: Path, name: str) -> Path:
    for number in count(1):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return path
    raise AssertionError
