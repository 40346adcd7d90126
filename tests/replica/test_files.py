"""Lists of files and their differences: pure."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.replica import files
from atcgen.replica.files import DAY, HOUR, File, Manifest, Version
from atcgen.system.store import Entry
from atcgen.system.tree import Stat, stays_inside

DIGEST = "ab" * 32
FILE = File(3, 1_700_000_000_123_456_789, 0o640, f"1/{DIGEST}")
MANIFEST = Manifest(
    Version(3, 1_700_000_000_000),
    ("storage", "uploads"),
    {"storage/a/b": FILE, "uploads/c": FILE},
    {"storage": 0o755, "storage/a": 0o700, "storage/empty": 0o755, "uploads": 0o755},
    {"storage/link": "a/b"},
    (Version(1, 10), Version(2, 20)),
    5.0,
)
NOW = 1_700_000_000.0
PREFIX = "tenants/a.x/files"
_name = st.text(min_size=1, max_size=8).filter(lambda each: each not in (".", "..") and not set(each) & set("/\0"))


def damaged(changes: dict[str, object]) -> bytes:
    """A list that says something else."""
    said = json.loads(gzip.decompress(MANIFEST.to_bytes()))
    return gzip.compress(json.dumps(said | changes).encode())


@given(st.dictionaries(_name, st.builds(File, st.integers(0, 2**60), st.integers(-1, 2**62), st.integers(0, 0o7777),
                                         st.just(FILE.blob)), max_size=5))  # fmt: skip
def test_a_list_reads_back_as_it_was_written(found: dict[str, File]) -> None:
    """Whatever files are called, in any bytes."""
    named = {f"storage/{name}": each for name, each in found.items()}
    manifest = Manifest(MANIFEST.version, ("storage",), named, {"storage": 0o755}, {}, MANIFEST.ends, 1.5)

    assert Manifest.from_bytes(manifest.to_bytes(), manifest.version) == manifest


def test_a_list_with_everything_reads_back() -> None:
    """Links, directories, ends."""
    assert Manifest.from_bytes(MANIFEST.to_bytes(), MANIFEST.version) == MANIFEST


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_list_is_no_list(place: int, byte: int) -> None:
    """One byte is enough; where it is not, the list is the same."""
    body = bytearray(MANIFEST.to_bytes())
    body[place % len(body)] = byte
    with suppress(ValueError):
        assert Manifest.from_bytes(bytes(body), MANIFEST.version) == MANIFEST


@pytest.mark.parametrize(
    "changes",
    [
        {"files": {"../x": [3, 0, 0o644, FILE.blob]}},
        {"files": {"/etc/x": [3, 0, 0o644, FILE.blob]}},
        {"files": {"storage/../../x": [3, 0, 0o644, FILE.blob]}},
        {"files": {"other/x": [3, 0, 0o644, FILE.blob]}},
        {"files": {"storage/link/x": [3, 0, 0o644, FILE.blob]}},  # through a symlink
        {"files": {"storage/link": [3, 0, 0o644, FILE.blob]}},
        {"files": {"storage/x": [3, 0, 0o644, "1/../../lease.json"]}},
        {"files": {"storage/x": [-3, 0, 0o644, FILE.blob]}},
        {"files": {"storage/x": [3, 0, 0o644]}},
        {"links": {"storage/link": "../../x"}},
        {"links": {"storage/link": "/etc"}},
        {"links": {"storage/link": 1}},
        {"directories": {}},
        {"ends": ["1"]},
        {"version": "e3.5"},
        {"roots": []},
    ],
)
def test_a_list_that_could_write_elsewhere_is_refused(changes: dict[str, object]) -> None:
    """It comes from a store that others may write to."""
    with pytest.raises(ValueError, match=r".+"):
        Manifest.from_bytes(damaged(changes), MANIFEST.version)


def test_a_list_is_what_would_be_restored() -> None:
    """Modes and times count; when it was made does not."""
    later = replace(MANIFEST, version=Version(4, 1), ends=(), tidied=0)
    assert MANIFEST.says_the_same(later)
    for changed in (
        replace(later, roots=("storage",)),
        replace(later, directories={**MANIFEST.directories, "storage": 0o700}),
        replace(later, links={}),
        replace(later, files={**MANIFEST.files, "uploads/c": replace(FILE, mode=0o600)}),
        replace(later, files={**MANIFEST.files, "uploads/c": replace(FILE, mtime_ns=1)}),
        replace(later, files={"storage/a/b": FILE}),
    ):
        assert not MANIFEST.says_the_same(changed)


@pytest.mark.parametrize(
    ("wanted", "roots", "names"),
    [
        (["storage", "uploads"], ("storage", "uploads"), {"storage/a/b", "uploads/c"}),
        (["uploads"], ("uploads",), {"uploads/c"}),
        (["storage/a"], ("storage/a",), {"storage/a/b"}),
        (["other", "upload"], (), set()),
    ],
)
def test_only_what_is_declared_now_is_restored(wanted: list[str], roots: tuple[str, ...], names: set[str]) -> None:
    """Directories may have been declared otherwise when they were copied."""
    found = MANIFEST.below(wanted)

    assert (found.roots, set(found.files)) == (roots, names)


def test_of_a_wider_directory_the_list_says_nothing_more() -> None:
    """It was made when `storage/a` alone was copied; what lies beside that is not touched."""
    narrow = Manifest(Version(1, 1), ("storage/a",), {"storage/a/b": FILE}, {"storage/a": 0o755})

    assert narrow.below(["storage"]).roots == ("storage/a",)


SECOND = 10**9


@pytest.mark.parametrize(
    ("now", "read_after", "expected"),
    [
        (Stat(3, FILE.mtime_ns, 0o600), 3 * SECOND, True),
        (Stat(4, FILE.mtime_ns, 0o640), 3 * SECOND, False),
        (Stat(3, FILE.mtime_ns + 1, 0o640), 3 * SECOND, False),
        (Stat(3, FILE.mtime_ns, 0o640), SECOND, False),  # it may have been written again in the same tick
        (Stat(3, FILE.mtime_ns, 0o640), -3600 * SECOND, True),  # a time in the future was given to it
    ],
)
def test_what_is_unchanged_is_not_read_again(now: Stat, read_after: int, expected: bool) -> None:
    """By size and time, unless it was read in the moment of its last change."""
    assert files.is_unchanged(FILE, now, FILE.mtime_ns + read_after) is expected


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_versions_of_an_epoch_grow(clock: list[float]) -> None:
    """Also when the clock is set back."""
    last = None
    for now in clock:
        fresh = files.next_version(3, now, last)
        assert last is None or fresh > last
        last = fresh


def test_a_new_epoch_begins_with_its_own_clock() -> None:
    """The clock of another machine does not count."""
    assert files.next_version(4, 1.0, Version(3, 10**12)) == Version(4, 1000)


def test_what_a_former_owner_wrote_late_is_nothing() -> None:
    """Epoch 1 ended with 10 and epoch 2 with 20; 3 is written to."""
    known = [
        Version(1, 5),
        Version(1, 10),
        Version(1, 99),
        Version(2, 20),
        Version(2, 30),
        Version(3, 40),
        Version(3, 50),
    ]

    true = files.truths(known, Version(3, 40), (Version(1, 10), Version(2, 20)))

    assert true == [Version(1, 5), Version(1, 10), Version(2, 20), Version(3, 40)]
    assert files.abandoned(known, true, 3) == {Version(1, 99), Version(2, 30)}  # 3.50 may be about to be the truth


def test_each_epoch_says_how_the_ones_before_ended() -> None:
    """As long as that is within the retention."""
    ends = files.ends_after((Version(1, 10_000),), Version(2, 20_000), 3, 0)
    assert ends == (Version(1, 10_000), Version(2, 20_000))
    assert files.ends_after(ends, Version(3, 30_000), 3, 0) == ends
    assert files.ends_after(ends, Version(3, 30_000), 4, 20.1) == (Version(2, 20_000), Version(3, 30_000))
    assert files.ends_after((), None, 1, 0) == ()


@pytest.mark.parametrize(
    ("seconds", "epoch", "expected"),
    [(5, 1, None), (10, 1, Version(1, 10_000)), (25, 1, Version(1, 10_000)), (25, 2, Version(2, 20_000)),
     (99, 2, Version(2, 20_000)), (99, 3, Version(3, 30_000))],
)  # fmt: skip
def test_the_files_of_a_time(seconds: float, epoch: int, expected: Version | None) -> None:
    """The newest that is not younger, of the epoch that was the truth."""
    true = [Version(1, 10_000), Version(2, 20_000), Version(3, 30_000)]

    assert files.at(true, seconds, epoch) == expected


@given(st.lists(st.integers(0, int(10 * DAY)), unique=True), st.floats(DAY, 7 * DAY))
def test_going_back_stays_possible(ages: list[int], retention: float) -> None:
    """To any state of the last day, to one of each hour before, and to the beginning of the retention."""
    true = sorted(Version(1, int((NOW - age) * 1000)) for age in ages)

    kept = files.kept(true, NOW, retention)

    assert {each for each in true if each.taken / 1000 >= NOW - DAY} <= kept
    assert set(true[-1:]) <= kept
    within = [each for each in true if each.taken / 1000 >= NOW - retention]
    assert {int(each.taken / 1000 // HOUR) for each in within} <= {int(each.taken / 1000 // HOUR) for each in kept}
    assert files.at(sorted(kept), NOW - retention, 1) == files.at(true, NOW - retention, 1)
    assert len(kept) <= len([each for each in true if each.taken / 1000 >= NOW - DAY]) + retention / HOUR + 3


def test_contents_go_when_nobody_names_them_and_a_day_is_over() -> None:
    """Neither lists nor anything else of the tenant."""
    blobs = f"{PREFIX}/blobs"
    entries = [
        Entry(f"{blobs}/1/{DIGEST}", 1, NOW - 2 * DAY),
        Entry(f"{blobs}/2/{DIGEST}", 1, NOW - 2 * DAY),
        Entry(f"{blobs}/3/{DIGEST}", 1, NOW - HOUR),
        Entry(f"{PREFIX}/e1.5", 1, NOW - 2 * DAY),
    ]

    assert files.unreferenced(entries, PREFIX, {f"2/{DIGEST}"}, NOW) == [f"{blobs}/1/{DIGEST}"]
    assert files.versions(entries, PREFIX) == [Version(1, 5)]


@pytest.mark.parametrize(
    ("link", "target", "expected"),
    [("s/a/l", "../b", True), ("s/l", ".", True), ("s/a/l", "../../s/b", True), ("s/l", "../t", False),
     ("s/l", "/s/b", False), ("s/l", "../sb", False)],
)  # fmt: skip
def test_symlinks_stay_inside(link: str, target: str, expected: bool) -> None:
    """Of their directory."""
    assert stays_inside(link, target, "s") is expected
