"""SQLite files as files."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcgen.system.sqlite import (
    NotCheckpointed,
    checkpoint,
    companion,
    problem_of,
    remove_companions,
    same_pages,
    set_aside,
)
from tests.replica.litestream_world import make_database, rows, write

WHEN = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with a row."""
    return make_database(tmp_path / "a.sqlite3", 50_000)


def crashed(database: Path) -> None:
    """Leave a log behind, as a process that is killed does."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("INSERT INTO entries (body) VALUES ('in the log')")
        copies = [(each, each.read_bytes()) for each in (database, companion(database, "-wal"))]
    for path, content in copies:
        path.write_bytes(content)


def test_a_checkpoint_leaves_one_file(database: Path) -> None:
    """What was in the log only is in the file."""
    crashed(database)
    assert companion(database, "-wal").stat().st_size

    checkpoint(database)

    assert [each.name for each in database.parent.iterdir()] == [database.name]
    assert rows(database) == {1, 2}


@pytest.mark.parametrize("begin", ["SELECT 1", "SELECT * FROM entries", "BEGIN IMMEDIATE"])
def test_a_checkpoint_while_somebody_has_it_open(database: Path, begin: str) -> None:
    """Somebody who only looks on, who reads, and who writes."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("INSERT INTO entries (body) VALUES ('x')")
        unfinished = other.execute(begin)

        with pytest.raises(NotCheckpointed, match=r"somebody has it open|locked"):
            checkpoint(database)
        unfinished.close()


def test_a_checkpoint_of_what_is_no_database(tmp_path: Path) -> None:
    """Nor is a database made where there is none."""
    (tmp_path / "text").write_text("something else entirely" * 100)
    for each in (tmp_path / "text", tmp_path / "none"):
        with pytest.raises(NotCheckpointed):
            checkpoint(each)
    assert not (tmp_path / "none").exists()


def test_a_checkpoint_without_a_log(tmp_path: Path) -> None:
    """A database that never had one, and an empty file."""
    checkpoint(write(tmp_path / "plain", "CREATE TABLE entries (id)"))
    (tmp_path / "empty").touch()
    checkpoint(tmp_path / "empty")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty", "plain"]


def test_names_that_mean_something_in_addresses(tmp_path: Path) -> None:
    """A path is a path, whatever is in it."""
    for name in ("a?mode=memory", "b#c", "d%20e"):
        path = make_database(tmp_path / name)
        checkpoint(path)
        assert problem_of(path) == ""


def test_a_problem(database: Path) -> None:
    """A sound database has none, a damaged one has the first."""
    assert problem_of(database) == problem_of(database, thorough=True) == ""
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(bytes(4096))
    assert problem_of(database)
    database.write_text("no database at all" * 100)
    assert "not a database" in problem_of(database)
    assert problem_of(database.with_name("none"))


def test_an_index_that_lacks_a_row(database: Path) -> None:
    """Only a thorough look finds it."""
    write(database, "CREATE TABLE t (x)", "CREATE INDEX i ON t (x)", "CREATE TABLE kept AS SELECT * FROM sqlite_schema")
    write(database, "PRAGMA writable_schema=ON", "DELETE FROM sqlite_schema WHERE name = 'i'")
    write(database, "INSERT INTO t VALUES (1)")
    write(database, "PRAGMA writable_schema=ON", "INSERT INTO sqlite_schema SELECT * FROM kept WHERE name = 'i'")

    assert problem_of(database) == ""
    assert "index i" in problem_of(database, thorough=True)


def test_the_same_pages(database: Path) -> None:
    """Equal but for what a header says of writers; one other byte, anywhere, is a difference."""
    copy = database.with_name("copy")
    shutil.copy(database, copy)
    assert same_pages(database, copy)

    content = bytearray(database.read_bytes())
    for place in (24, 27, 92, 99):
        copy.write_bytes(_changed(content, place))
        assert same_pages(database, copy)
    for place in (0, 23, 28, 91, 100, 5000, len(content) - 1):
        copy.write_bytes(_changed(content, place))
        assert not same_pages(database, copy)
    for other in (content[:-1], content + b"\0", b""):
        copy.write_bytes(other)
        assert not same_pages(database, copy)
        assert not same_pages(copy, database)


def _changed(content: bytearray, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


def test_a_log_is_not_compared(database: Path) -> None:
    """What is in it counts, so the files alone say nothing."""
    copy = database.with_name("copy")
    shutil.copy(database, copy)
    crashed(database)
    with pytest.raises(NotCheckpointed, match="log"):
        same_pages(copy, database)


def test_companions_are_removed(database: Path) -> None:
    """The database and its neighbours stay."""
    for each in ("a.sqlite3-wal", "a.sqlite3-shm", "a.sqlite3-journal", "a.sqlite3-other", "b.sqlite3-wal"):
        database.with_name(each).touch()
    remove_companions(database)
    remove_companions(database)
    assert sorted(each.name for each in database.parent.iterdir()) == ["a.sqlite3", "a.sqlite3-other", "b.sqlite3-wal"]


def test_databases_are_set_aside(database: Path) -> None:
    """With their logs; twice in a second is twice a directory."""
    directory = database.parent
    crashed(database)
    below = make_database(directory / "storage/a.sqlite3")
    kept = make_database(directory / "kept.sqlite3")

    first = set_aside([database, below, directory / "none"], directory, WHEN)

    assert first == directory / ".stale-20300102T030405Z"
    assert not database.exists()
    assert not companion(database, "-wal").exists()
    assert kept.exists()
    assert rows(first / "a.sqlite3") == {1, 2}
    assert rows(first / "storage/a.sqlite3") == {1}

    make_database(database)
    second = set_aside([database], directory, WHEN)
    assert second == directory / ".stale-20300102T030405Z-2"
    assert rows(second / "a.sqlite3") == {1}
    assert rows(first / "a.sqlite3") == {1, 2}
