"""Requests to warm tenants that are lost while atc.yml is edited twenty times, and how long an edit takes to be live.

The edits add, rename, remove and change the env of other tenants; three of four reload nginx. An edit is live when the
other tenant answers as it now should; the first answer of a tenant that was added or renamed has its boot in it.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median

from bench.clients import Client, Kind, total, working
from bench.figures import Figure
from bench.running import APPS, Atc, Document, answer, atc, is_ok
from bench.waiting import wait_until

CYCLES = 5  # of four edits each
WARM = ("a", "b", "c")
CLIENTS = {Kind.ONCE: 20, Kind.REPEATING: 20, Kind.RAW: 10}
BARS = {Kind.ONCE: 0, Kind.REPEATING: 0, Kind.RAW: None}


def run() -> Iterator[Figure]:
    """The figures."""
    fast = {"start": f"{sys.executable} {APPS / 'fast.py'}", "env": {"LISTEN": "${socket}"}}
    small = {"start": f"{sys.executable} {APPS / 'small.py'}", "env": {"LISTEN": "${socket}", "WORD": "first"}}
    document: Document = {
        "users": {"warm": {"app": fast, "tenants": {each: {} for each in WARM}}, "other": {"app": small, "tenants": {}}}
    }
    took: dict[str, list[float]] = {}
    with atc(document) as running:
        for each in WARM:
            running.wake(f"/warm/{each}/")
        clients = [
            Client(running.port, "GET", f"/warm/{WARM[each % len(WARM)]}/", kind)
            for kind, count in CLIENTS.items()
            for each in range(count)
        ]
        with working(clients):
            for cycle in range(CYCLES):
                for name, change, live in _cycle(running, f"n{cycle}", f"m{cycle}"):
                    began = time.perf_counter()
                    running.edit(change)
                    wait_until(live, f"the edit '{name}'", 60)
                    took.setdefault(name, []).append(time.perf_counter() - began)
    for kind, bar in BARS.items():
        count = total(clients, kind, "GET")
        why = "".join(f", {number} {said}" for said, number in Counter(count.failures).most_common(2))
        note = f"of {count.good + count.lost:,}, {count.repeated} repeated{why}"
        yield Figure("edits", f"GETs lost, {kind.value}", count.lost, "requests", bar, note)
    everything = [each for times in took.values() for each in times]
    yield Figure("edits", "from edit to live", median(everything) * 1000, "ms", note="under that load")
    for name, times in took.items():
        yield Figure("edits", f"  {name}", median(times) * 1000, "ms")


Edit = tuple[str, Callable[[Document], object], Callable[[], bool]]


def _cycle(running: Atc, first: str, second: str) -> Iterator[Edit]:
    """Four edits: what they are called, what they change, and when they are live."""

    def tenants(document: Document) -> Document:
        found: Document = document["users"]["other"]["tenants"]
        return found

    def answers(name: str, word: bytes = b"") -> bool:
        said = answer(running.port, f"/other/{name}/", "POST")
        return is_ok(said) and word in said

    def is_gone(name: str) -> bool:
        return answer(running.port, f"/other/{name}/")[9:12] == b"404"

    yield "add", lambda document: tenants(document).update({first: {}}), lambda: answers(first)
    yield (
        "change env",
        lambda document: tenants(document).update({first: {"env": {"WORD": "changed"}}}),
        lambda: answers(first, b"changed"),
    )
    yield (
        "rename",
        lambda document: tenants(document).update({second: tenants(document).pop(first)}),
        lambda: answers(second) and is_gone(first),
    )
    yield "remove", lambda document: tenants(document).pop(second), lambda: is_gone(second)
