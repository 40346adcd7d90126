"""How far a restore is, as people are told."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import pytest

from atcgen.replica import ltx
from atcgen.replica.progress import Progress, Restoring, amounts, seconds_left
from atcgen.system.store import Entry

MB = 1_000_000


@dataclass
class Clock:
    """Seconds, as they are set."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("done", "wanted", "seconds", "left"),
    [
        (50, 100, 10.0, 10.0),
        (25, 100, 10.0, 30.0),
        (100, 100, 10.0, 0.0),
        (120, 100, 10.0, 0.0),
        (0, 100, 10.0, None),
        (50, 100, 0.1, None),
        (0, 0, 0.0, None),
    ],
)
def test_the_rest_takes_as_long_as_what_was(done: int, wanted: int, seconds: float, left: float | None) -> None:
    """Nothing is said too soon, nor when nothing has come yet."""
    assert seconds_left(done, wanted, seconds) == left


@pytest.mark.parametrize(
    ("done", "wanted", "said"),
    [
        (43 * MB, 100 * MB, "43 of 100 MB"),
        (0, 999, "0 of 999 bytes"),
        (1_240_000, 4_000_000, "1.2 of 4.0 MB"),
        (700 * MB, 12_000 * MB, "1 of 12 GB"),
        (0, 0, "0 of 0 bytes"),
    ],
)
def test_amounts_are_in_a_unit_that_suits(done: int, wanted: int, said: str) -> None:
    """The same for both."""
    assert amounts(done, wanted) == said


def test_a_sentence_has_bytes_and_time() -> None:
    """Time only when it is known."""
    assert str(Restoring("files", 43 * MB, 100 * MB, 4.4)) == "43 of 100 MB, about 4 s left"
    assert str(Restoring("files", 43 * MB, 100 * MB, 0.0)) == "43 of 100 MB, about 1 s left"
    assert str(Restoring("files", 43 * MB, 100 * MB, 200.0)) == "43 of 100 MB, about 3 min left"
    assert str(Restoring("files", 43 * MB, 100 * MB, None)) == "43 of 100 MB"


def test_parts_add_up() -> None:
    """Those that are done, those that grow, and those whose size was known better later."""
    clock = Clock()
    progress = Progress(clock)
    assert progress.look() is None
    progress.begin("databases", {"a": 300, "b": 50})
    progress.correct("a", 150)
    progress.correct("c", 1_000)

    assert progress.look() == Restoring("databases", 0, 200, None)
    clock.now += 100  # of waiting for its turn, which is not counted
    progress.reached("a", 20)
    clock.now += 10
    progress.reached("a", 100)
    progress.follow("b", lambda: 10)

    assert progress.look() == Restoring("databases", 110, 200, 10.0)
    progress.reached("b", 50)
    progress.reached("a", 170)
    assert progress.look() == Restoring("databases", 200, 200, 0.0)
    progress.end()
    assert progress.look() is None


def _file(level: int, first: int, last: int, size: int) -> Entry:
    return Entry(f"t/x/e1.1/db.sqlite3/ltx/{level}/{first:016x}-{last:016x}.ltx", size, 0.0)


def test_the_newest_file_tells_the_size() -> None:
    """Of those that reach so far the smallest, and none that reaches further than what is wanted."""
    files = [_file(9, 1, 10, 900), _file(0, 10, 10, 40), _file(0, 11, 11, 50), Entry("t/x/e1.1/other", 1, 0.0)]

    assert ltx.newest(files) == files[2]
    assert ltx.newest(files, 10) == files[1]
    assert ltx.newest(files[3:]) is None


def test_a_size_is_pages_by_their_number() -> None:
    """And zero of what is no such file."""
    header = struct.pack(">4sIII", b"LTX1", 2, 4096, 24454)

    assert ltx.database_size(header) == 100_163_584
    assert ltx.database_size(b"else" + header[4:]) == 0
    assert ltx.database_size(header[:-1]) == 0
