"""Which copy of the databases is the truth: every case, without a store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.replica.custody import Marker, Verdict, judge
from atcgen.replica.lease import Lease

BOOT = "this boot"
LEASE = Lease("a/x", 7, "us", "machine", held=True, ttl=60, path="e6.1")  # was taken just now
OURS = Marker(6, ("e6.1",), BOOT, clean=True, databases=("db",))


def verdict(lease: Lease = LEASE, marker: Marker | None = OURS, *present: str) -> Verdict:
    """What is decided."""
    return judge(lease, marker, present, BOOT)[0]


def test_a_tenant_that_nobody_knows_is_new() -> None:
    """There is nothing here, and nothing was ever published."""
    assert verdict(replace(LEASE, epoch=1, path=""), None) is Verdict.NEW


def test_databases_that_were_here_before_are_taken_as_they_are() -> None:
    """They are published for the first time."""
    assert verdict(replace(LEASE, epoch=1, path=""), None, "db") is Verdict.USE


def test_a_store_that_knows_nothing_of_what_is_gone_is_the_wrong_one() -> None:
    """A tenant that had databases never starts without them."""
    assert verdict(replace(LEASE, epoch=1, path=""), OURS) is Verdict.REFUSE
    assert verdict(replace(LEASE, epoch=1, path=""), OURS, "db") is Verdict.REFUSE  # it may be an old one


def test_what_nobody_had_since_is_used() -> None:
    """Also after a crash, after one between the two steps of a publication, and if somebody else tried in vain."""
    assert verdict(replace(LEASE, epoch=9), OURS, "db") is Verdict.USE
    assert verdict(LEASE, OURS, "db") is Verdict.USE
    assert verdict(LEASE, replace(OURS, clean=False), "db") is Verdict.USE
    assert verdict(LEASE, replace(OURS, paths=("e5.1", "e6.1")), "db") is Verdict.USE


def test_nothing_here_means_that_it_comes_from_the_store() -> None:
    """With and without a marker."""
    assert verdict(LEASE, None) is Verdict.RESTORE
    assert verdict(LEASE, OURS) is Verdict.RESTORE


@pytest.mark.parametrize("present", [(), ("db",)])
def test_a_store_that_knows_less_than_this_machine_is_the_wrong_one(present: tuple[str, ...]) -> None:
    """Or an old copy of the right one."""
    assert verdict(LEASE, replace(OURS, epoch=7), *present) is Verdict.REFUSE


@pytest.mark.parametrize(
    "marker",
    [
        None,
        replace(OURS, epoch=5, paths=("e5.1",)),  # somebody had it meanwhile
        replace(OURS, paths=("e6.2",)),
        replace(OURS, clean=False, boot="the last one"),  # the machine went down
        replace(OURS, databases=("db", "queue")),  # one of them is gone
    ],
)
def test_whatever_follows_from_something_else_is_set_aside(marker: Marker | None) -> None:
    """It is never used, published or deleted."""
    assert verdict(LEASE, marker, "db") is Verdict.REPLACE


_marker = st.builds(
    Marker,
    st.integers(1, 9),
    st.lists(st.sampled_from(["", "e6.1", "e5.1"]), min_size=1, max_size=2).map(tuple),
    st.sampled_from([BOOT, "the last one"]),
    st.booleans(),
    st.sets(st.sampled_from(["db", "queue"])).map(lambda each: tuple(sorted(each))),
)


@given(st.none() | _marker, st.sets(st.sampled_from(["db", "queue"])))
def test_what_was_published_is_never_followed_by_nothing(marker: Marker | None, present: set[str]) -> None:
    """Whatever is here: with something in the store, no tenant starts as if it were new."""
    found = judge(LEASE, marker, present, BOOT)[0]
    assert found is not Verdict.NEW
    assert (found is Verdict.REFUSE) == (marker is not None and marker.epoch >= LEASE.epoch)


@given(_marker)
def test_a_marker_is_read_as_it_was_written(marker: Marker) -> None:
    """And what is none is none."""
    assert Marker.from_json(marker.to_json()) == marker


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"epoch": "x"}', "null"])
def test_what_is_no_marker_says_nothing(text: str) -> None:
    """A damaged one must not vouch for databases."""
    assert Marker.from_json(text) is None
