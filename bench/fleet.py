"""A fleet of one machine for each region of a real service, as machines come and go: does every request get where it
has to, whole and once?

First each URL is asked for at each of two edges, then come requests by lot, of every method and with bodies of up to
5 MB, while a machine is suspended or stopped after every hundred of them or so; whoever wants it wakes it. Once without
and once with `fleet.replay.cache`. ATC_BENCH_REQUESTS is how many requests by lot there are each time, 10,000 when
missing; ATC_BENCH_SEED another lot; ATC_SHOWCASES the directory of the service's files.

A failure is explained when a machine on the request's way was being put to sleep meanwhile, or had been within the
second before: for half of that the edges do not know, and what is on its way then is cut off.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.asking import ONCE, Move, Outcome, Request, Unrest, by_lot, everything, expected, send_all
from bench.figures import Figure
from bench.showcases import REPLAYS, World, world
from simulator.events import Delivery

REQUESTS = int(os.environ.get("ATC_BENCH_REQUESTS", "10000"))
SEED = int(os.environ.get("ATC_BENCH_SEED", "1"))
_AFTERWARDS = 1.0


@dataclass(frozen=True)
class Findings:
    """What came of the requests, beside what should have."""

    outcomes: list[Outcome]
    right: dict[int, str]  # what each has to say
    deliveries: dict[str, Delivery]  # by path
    owners: dict[str, str]
    done: list[tuple[int, str]]  # the notes of the tenants
    moves: list[Move]
    afterwards: float = _AFTERWARDS  # seconds in which a move still explains a failure

    @property
    def answered(self) -> list[Outcome]:
        """By some tenant."""
        return [each for each in self.outcomes if each.status == 200]

    @property
    def failed(self) -> list[Outcome]:
        """Without an answer of a tenant."""
        return [each for each in self.outcomes if each.status != 200]

    @property
    def wrong_places(self) -> list[Outcome]:
        """Answers of another tenant, or from another machine than it is on."""
        return [each for each in self.answered if each.said.split()[:2] != self._right(each).split()[:2]]

    @property
    def wrong_bodies(self) -> list[Outcome]:
        """Bodies that came to the tenant otherwise than they were sent; and answers that came otherwise."""
        return [each for each in self.answered if each.said != self._right(each) or each.text not in ("", each.said)]

    @property
    def misdirected(self) -> list[Outcome]:
        """Requests that were sent to a machine which does not have the tenant."""
        return [each for each in self.failed if "was sent a request for what" in each.text]

    @property
    def unexplained(self) -> list[Outcome]:
        """Failures while no machine on the way was going to sleep."""
        return [each for each in self.failed if not self._explained(each)]

    def twice(self, *, once: bool) -> list[int]:
        """What was carried out more than once: of what must not be, or of the rest."""
        kinds = {each.request.number: each.request.method in ONCE for each in self.outcomes}
        counted = Counter(number for number, _ in self.done)
        return [number for number, count in counted.items() if count > 1 and kinds.get(number) is once]

    def strays(self) -> list[int]:
        """What another tenant than the right one carried out, whatever the client was told."""
        return [number for number, tenant in self.done if number in self.right and self._tenant(number) != tenant]

    def missing(self) -> list[int]:
        """Answered, and yet not carried out."""
        done = {number for number, _ in self.done}
        return [each.request.number for each in self.answered if each.request.number not in done]

    def unheard(self) -> list[int]:
        """Carried out, and the client was told of a failure."""
        done = {number for number, _ in self.done}
        return [each.request.number for each in self.failed if each.request.number in done]

    def kinds(self) -> str:
        """The failures by status, the error of the proxy, and what the machine was doing."""
        counted = Counter(self._kind(each) for each in self.failed)
        return ", ".join(f"{count} x {kind}" for kind, count in counted.most_common())

    def _kind(self, outcome: Outcome) -> str:
        delivery = self.deliveries.get(outcome.request.path)
        reasons = sorted({each.kind for each in self._moves(outcome)}) or ["nothing"]
        status = {0: "closed", -1: "no answer in time"}.get(outcome.status, str(outcome.status))
        return " ".join(each for each in (status, delivery.error if delivery else "", "/".join(reasons)) if each)

    def _explained(self, outcome: Outcome) -> bool:
        return bool(self._moves(outcome))

    def _moves(self, outcome: Outcome) -> list[Move]:
        delivery = self.deliveries.get(outcome.request.path)
        way = {each.machine for each in delivery.hops} if delivery else set[str]()
        way |= {self.owners[outcome.request.tenant], outcome.request.edge}
        found = [each for each in self.moves if each.machine in way]
        return [each for each in found if each.began <= outcome.ended and outcome.began <= each.ended + self.afterwards]

    def _right(self, outcome: Outcome) -> str:
        return self.right[outcome.request.number]

    def _tenant(self, number: int) -> str:
        return self.right[number].split()[0]


def run() -> Iterator[Figure]:
    """The figures, without a cache and with one."""
    for name, replay in REPLAYS.items():
        with world(replay, SEED) as made:
            yield from _measured(name, made)


def _measured(name: str, made: World) -> Iterator[Figure]:
    rng, urls = random.Random(SEED), everything(made)
    calm = findings(made, urls, send_all(made, urls), [])
    what = f"{len(made.owners)} tenants on {len(made.machines)} machines, at each of two edges"
    yield Figure("fleet", f"{name}: each URL, not answered", len(calm.failed), "of them", 0, what)
    yield Figure("fleet", f"{name}: each URL, wrong tenant or machine", len(calm.wrong_places), "of them", 0)
    began, requests = time.monotonic(), by_lot(made, REQUESTS, len(urls), rng)
    with Unrest(made, rng) as unrest:
        outcomes = send_all(made, requests, unrest.request_done)
    found = findings(made, requests, outcomes, unrest.moves)
    seconds = time.monotonic() - began
    moved = Counter(each.kind for each in unrest.moves)
    moves = ", ".join(f"{count} x {kind}" for kind, count in sorted(moved.items()))
    note = f"{len(requests):,} requests in {seconds:.0f} s; {moves}"
    yield from figures(name, found, note)


def figures(name: str, found: Findings, note: str, bench: str = "fleet") -> Iterator[Figure]:
    """What came of requests by lot."""
    for what, numbers in (
        ("wrong tenant or machine", found.wrong_places),
        ("carried out by another tenant", found.strays()),
        ("wrong bodies", found.wrong_bodies),
        ("POST or PATCH carried out twice", found.twice(once=True)),
        ("answered and not carried out", found.missing()),
        ("sent to a machine without the tenant", found.misdirected),
        ("failed without a reason", found.unexplained),
    ):
        yield Figure(bench, f"{name}: {what}", len(numbers), "requests", 0, note)
        if numbers:
            print(f"{name}, {what}: {numbers[:20]}", file=sys.stderr)
        note = ""
    yield Figure(bench, f"{name}: failed", len(found.failed), "requests", note=found.kinds())
    large = [each for each in found.failed if each.request.size > 1_000_000 or each.request.chunked]
    sent = [each for each in found.outcomes if each.request.size > 1_000_000 or each.request.chunked]
    of_them = f"of {len(sent)} of more than a megabyte, or chunked"
    yield Figure(bench, f"{name}: failed, large or chunked", len(large), "requests", note=of_them)
    twice = found.twice(once=False)
    yield Figure(bench, f"{name}: other methods carried out twice", len(twice), "requests", note="allowed")
    unheard = found.unheard()
    yield Figure(bench, f"{name}: failed, and yet carried out", len(unheard), "requests", note="cut off meanwhile")


def findings(made: World, requests: list[Request], outcomes: list[Outcome], moves: list[Move], **more: Any) -> Findings:
    """All that is known of some requests."""
    right = {each.number: expected(made, each) for each in requests}
    deliveries = {each.target: each for each in made.fly.deliveries}
    return Findings(outcomes, right, deliveries, made.owners, made.notes(), moves, **more)
