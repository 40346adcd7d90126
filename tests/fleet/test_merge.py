"""Two people changed one text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.fleet.merge import Clash, merged, unified

BASE = "a: 1\nb: 2\nc: 3\nd: 4\n"
_text = st.lists(st.sampled_from("abcd")).map(lambda lines: "".join(f"{each}\n" for each in lines))


@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [
        ("a: 9\nb: 2\nc: 3\nd: 4\n", "a: 1\nb: 2\nc: 3\nd: 9\n", "a: 9\nb: 2\nc: 3\nd: 9\n"),
        ("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n", "0: 0\na: 1\nb: 2\nc: 3\nd: 4\n", "0: 0\na: 1\nb: 2\nc: 3\nd: 4\ne: 5\n"),
        ("b: 2\nc: 3\nd: 4\n", "a: 1\nb: 2\n", "b: 2\n"),
        ("a: 9\nb: 2\nc: 3\nd: 4\n", "a: 9\nb: 2\nc: 3\nd: 4\n", "a: 9\nb: 2\nc: 3\nd: 4\n"),
    ],
)
def test_changes_at_different_places_are_put_together(ours: str, theirs: str, both: str) -> None:
    """Whoever is whose."""
    assert merged(BASE, ours, theirs) == merged(BASE, theirs, ours) == both


def test_changes_of_the_same_line_clash() -> None:
    """And both are shown."""
    with pytest.raises(Clash) as clash:
        merged(BASE, BASE.replace("2", "7"), BASE.replace("2", "8"))

    assert str(clash.value) == "both changed line 2:\n  yours:  b: 7\n  theirs: b: 8"


def test_a_removed_line_that_was_changed_clashes() -> None:
    """It is not lost."""
    with pytest.raises(Clash, match=r"yours:  \(removed\)"):
        merged(BASE, BASE.replace("b: 2\n", ""), BASE.replace("b: 2", "b: 8"))


@given(_text, _text)
def test_who_changed_nothing_gets_the_other_text(base: str, other: str) -> None:
    """And who made the same change, the same."""
    assert merged(base, base, other) == merged(base, other, base) == merged(base, other, other) == other


@given(_text, _text, _text)
def test_a_merge_does_not_depend_on_who_merges(base: str, ours: str, theirs: str) -> None:
    """Both get the same text, or both clash."""

    def attempt(mine: str, other: str) -> str | None:
        try:
            return merged(base, mine, other)
        except Clash:
            return None

    assert attempt(ours, theirs) == attempt(theirs, ours)


def test_a_diff_has_names() -> None:
    """And is empty when nothing differs."""
    assert unified(BASE, BASE, "x", "y") == ""
    assert unified("a\n", "b", "edition 1", "yours").splitlines() == [
        "--- edition 1",
        "+++ yours",
        "@@ -1 +1 @@",
        "-a",
        "+b",
    ]
