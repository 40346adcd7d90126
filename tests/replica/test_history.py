"""What can be restored, and from where."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from atcgen.errors import Unavailable
from atcgen.replica import history
from atcgen.replica.lease import Chapter, Lease
from atcgen.replica.restoring import Moment
from atcgen.system.store import Entry

KEY = "tenants/a.x"
NAMES = ["db"]
LEASE = Lease(
    "a/x",
    3,
    "us",
    "machine",
    held=False,
    ttl=60,
    path="e3.1",
    databases=(("db", 9),),
    history=(Chapter("e1.1", 100, 200), Chapter("e2.1", 300, 400), Chapter("e3.1", 500, 600)),
)
ENTRIES = [
    Entry(f"{KEY}/lease.json", 1, 600),
    Entry(f"{KEY}/e1.1/db/1.ltx", 10, 150),
    Entry(f"{KEY}/e1.1/db/2.ltx", 10, 190),
    Entry(f"{KEY}/e2.1/db/1.ltx", 5, 350),
    Entry(f"{KEY}/e2.2/db/1.ltx", 5, 360),  # never became the truth
    Entry(f"{KEY}/e3.1/db/1.ltx", 7, 590),
    Entry(f"{KEY}/e3.2/db/1.ltx", 7, 600),  # is perhaps about to
]


def at(seconds: float) -> datetime:
    """A time."""
    return datetime.fromtimestamp(seconds, UTC)


def test_the_past_is_listed_with_sizes() -> None:
    """The oldest first."""
    found = history.pasts(LEASE, ENTRIES, KEY)

    assert [(each.path, each.size, each.is_truth) for each in found] == [
        ("e1.1", 20, False),
        ("e2.1", 5, False),
        ("e3.1", 7, True),
    ]


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [
        (150, Moment("e1.1", at=at(150))),
        (195, Moment("e1.1")),  # after the last change there
        (250, Moment("e1.1")),  # nobody wrote then
        (320, Moment("e2.1", at=at(320))),
        (10_000, Moment("e3.1")),
    ],
)
def test_every_time_has_its_state(seconds: float, moment: Moment) -> None:
    """The path that was the truth then, and its latest state when nothing was written afterwards."""
    assert history.moment(LEASE, at(seconds), None, ENTRIES, KEY, NAMES) == moment


def test_the_latest_state_is_that_of_the_last_release() -> None:
    """Exactly those transactions."""
    assert history.moment(LEASE, None, None, ENTRIES, KEY, NAMES) == Moment("e3.1", {"db": 9})
    assert history.moment(LEASE, None, 4, ENTRIES, KEY, NAMES) == Moment("e3.1", {"db": 4})


def test_what_nothing_tells_of_is_said() -> None:
    """Before the first copy, and where there is none."""
    with pytest.raises(Unavailable, match=r"before what can be restored of a/x, which begins 1970-01-01 00:01:40"):
        history.moment(LEASE, at(99), None, ENTRIES, KEY, NAMES)
    with pytest.raises(Unavailable, match="nothing of a/x was ever copied"):
        history.moment(replace(LEASE, path=""), None, None, ENTRIES, KEY, NAMES)
    two = replace(LEASE, databases=(("db", 9), ("queue", 3)))
    with pytest.raises(Unavailable, match="there are several"):
        history.moment(two, None, 4, ENTRIES, KEY, NAMES)


def test_a_transaction_is_of_the_database_that_the_tenant_may_have() -> None:
    """A lease that is held names none; and of two there is none to choose."""
    held = replace(LEASE, held=True, databases=())
    assert history.moment(held, None, 4, ENTRIES, KEY, ["db"]) == Moment("e3.1", {"db": 4})
    with pytest.raises(Unavailable, match="a transaction is of one database, and there are several"):
        history.moment(held, None, 4, ENTRIES, KEY, ["db", "queue"])
    with pytest.raises(Unavailable, match="a time and a transaction"):
        history.moment(held, at(150), 4, ENTRIES, KEY, ["db"])


def test_only_what_is_older_than_the_retention_is_forgotten() -> None:
    """Counted from when it stopped being the truth; the truth and the one before it stay."""
    assert history.forgettable(LEASE, now=1_000, retention=600) == ["e1.1"]
    assert history.forgettable(LEASE, now=1_000, retention=800) == []
    assert history.forgettable(LEASE, now=10**9, retention=1) == ["e1.1"]


def test_paths_of_earlier_epochs_that_never_became_the_truth_are_abandoned() -> None:
    """Those of the present epoch may still become it."""
    assert list(history.abandoned(LEASE, ENTRIES, KEY)) == [f"{KEY}/e2.2/db/1.ltx"]
