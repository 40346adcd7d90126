"""Which machines may have a request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from simulator.lifecycle import State
from simulator.regions import covers, distance
from simulator.routing import Candidate, Wish, ports_mismatch, rank

IAD = Candidate("a", "app", "iad", State.STARTED)
ORD = Candidate("b", "app", "ord", State.STARTED)
AMS = Candidate("c", "app", "ams", State.STARTED)
WISH = Wish("app", 443, "iad")


def names(*candidates: Candidate, **wish: object) -> str:
    """The machines in order."""
    return "".join(each.id for each in rank(candidates, replace(WISH, **wish)))  # type: ignore[arg-type]


def test_the_nearest_is_first() -> None:
    """By distance from the edge."""
    assert names(AMS, ORD, IAD) == "abc"
    assert names(AMS, ORD, IAD, near="ams") == "cab"
    assert names(AMS, ORD, IAD, near="xxx") == "abc"


@pytest.mark.parametrize(
    ("regions", "expected"),
    [
        (("ord",), "b"),
        (("ams", "ord"), "cb"),
        (("us",), "ab"),
        (("eu", "any"), "cab"),
        (("na", "eu"), "abc"),
        (("sjc",), ""),
        (("sa", "apac"), ""),
    ],
)
def test_regions_and_aliases_in_order(regions: tuple[str, ...], expected: str) -> None:
    """None there, none at all."""
    assert names(IAD, ORD, AMS, regions=regions) == expected


def test_an_instance_never_spills_but_a_preferred_one_does() -> None:
    """Also when it is asleep."""
    assert names(IAD, ORD, instance="b") == "b"
    assert names(IAD, ORD, instance="z") == ""
    assert names(IAD, ORD, prefer_instance="b") == "ba"
    assert names(IAD, ORD, prefer_instance="z") == "ab"
    assert names(IAD, replace(ORD, state=State.SUSPENDED), prefer_instance="b") == "ba"


def test_what_does_not_fit_is_left_out() -> None:
    """App, port, cordon, health, autostart, exclusion."""
    for other in (
        replace(IAD, app="else"),
        replace(IAD, ports=frozenset({80})),
        replace(IAD, cordoned=True),
        replace(IAD, healthy=False),
        replace(IAD, state=State.STOPPED, autostart=False),
        replace(IAD, state=State.DESTROYED),
    ):
        assert names(other) == ""
    assert names(IAD, ORD, excluded=frozenset({"a"})) == "b"
    assert ports_mismatch([replace(IAD, ports=frozenset({80}))], WISH)
    assert not ports_mismatch([], WISH)


def test_soft_limits_spread_and_hard_limits_come_last() -> None:
    """A busy machine is passed over for a sleeping one, and a full one for a busy one."""
    busy, full = replace(IAD, load=30), replace(IAD, id="f", load=5, hard=5)
    asleep = replace(AMS, state=State.STOPPED)

    assert names(busy, ORD) == "ba"
    assert names(busy, asleep) == "ca"
    assert names(full, busy, asleep) == "caf"
    assert names(full) == "f"


def test_aliases_cover_what_their_name_says() -> None:
    """And nothing that is not on the map, except `any`."""
    assert covers("usa", "sjc")
    assert not covers("us", "yyz")
    assert covers("na", "yyz")
    assert covers("apac", "nrt")
    assert not covers("na", "mel")
    assert covers("any", "mel")
    assert 5_500 < distance("lhr", "iad") < 6_500
    assert distance("lhr", "nowhere") > distance("lhr", "syd")
