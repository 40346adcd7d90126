"""Which machines may have a request, the best one first. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.lifecycle import ASLEEP, State
from simulator.regions import covers, distance


@dataclass(frozen=True)
class Candidate:
    """A machine as an edge sees it."""

    id: str
    app: str
    region: str
    state: State
    ports: frozenset[int] = frozenset({80, 443})  # external
    autostart: bool = True
    healthy: bool = True
    cordoned: bool = False
    load: int = 0
    soft: int = 20
    hard: int | None = None

    @property
    def is_full(self) -> bool:
        """Is it at its hard limit?"""
        return self.hard is not None and self.load >= self.hard


@dataclass(frozen=True)
class Wish:
    """Where a request should go."""

    app: str
    port: int
    near: str  # region of the edge
    regions: tuple[str, ...] = ()  # codes and aliases in order; () is any
    instance: str = ""
    prefer_instance: str = ""
    excluded: frozenset[str] = frozenset()


def rank(candidates: Iterable[Candidate], wish: Wish) -> list[Candidate]:
    """The machines that fit, the best first; [] if there is none."""
    fitting = [each for each in candidates if _fits(each, wish)]
    if wish.instance:
        return [each for each in fitting if each.id == wish.instance]
    ordered: list[Candidate] = []
    for wanted in wish.regions or ("any",):
        tier = [each for each in fitting if covers(wanted, each.region) and each not in ordered]
        ordered += sorted(tier, key=lambda each: _merit(each, wish))
    return sorted(ordered, key=lambda each: each.id != wish.prefer_instance)


def ports_mismatch(candidates: Iterable[Candidate], wish: Wish) -> bool:
    """Would a machine fit if it had a service at the port of the request?"""
    there = [each for each in candidates if each.app == wish.app and wish.instance in ("", each.id)]
    return bool(there) and not any(wish.port in each.ports for each in there)


def _fits(each: Candidate, wish: Wish) -> bool:
    if each.app != wish.app or wish.port not in each.ports or each.cordoned or each.id in wish.excluded:
        return False
    if each.state in ASLEEP:
        return each.autostart
    return each.healthy and each.state is not State.DESTROYED


def _merit(each: Candidate, wish: Wish) -> tuple[int, float, int, str]:
    """Running ones first, unless all are above their soft limit and another one could be started."""
    if each.state in ASLEEP:
        kind = 1
    elif each.load < each.soft and not each.is_full:
        kind = 0
    else:
        kind = 3 if each.is_full else 2
    return kind, distance(wish.near, each.region), each.load, each.id
