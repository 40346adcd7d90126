"""Requests that are lost in restarts under load: an edit of a tenant's env starts the new process beside the old one.
Every POST has to be answered, and to be carried out once.

Twenty restarts in turns: a tenant is restarted again only when the old process of its last restart is gone, which
drains for as long as nginx keeps connections to it in its pool. Four in a row: one tenant, without that pause.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.clients import Client, Kind, total, working
from bench.figures import Figure
from bench.running import APPS, Atc, Document, answer, atc
from bench.waiting import wait_until

RESTARTS = 20
RESTARTS_IN_A_ROW = 4
PATIENCE = 20.0  # seconds until an edit counts as not taken
TENANTS = ("a", "b", "c", "d", "e")
_LISTENING = "00010000"  # a flag in the kernel's table


def run() -> Iterator[Figure]:
    """The figures."""
    yield from _figures("in turns", TENANTS, RESTARTS, clients=1, pause=True)
    yield from _figures("in a row", TENANTS[:1], RESTARTS_IN_A_ROW, clients=4, pause=False)


def _figures(name: str, tenants: tuple[str, ...], restarts: int, *, clients: int, pause: bool) -> Iterator[Figure]:
    """`clients` of each kind work on each tenant; `pause` lets the old process end before the next restart."""
    app = {"start": f"{sys.executable} {APPS / 'small.py'}", "env": {"LISTEN": "${socket}", "COUNT": "${tenant.dir}/n"}}
    document = {"app": app, "users": {"t": {"tenants": {each: {"env": {"WORD": "word-0"}} for each in tenants}}}}
    with atc(document) as running:
        for tenant in tenants:
            running.wake(f"/t/{tenant}/")
        asking = [
            Client(running.port, method, f"/t/{tenant}/", kind, b"x" * 100 if method == "POST" else b"")
            for tenant in tenants
            for method in ("POST", "GET")
            for kind in (Kind.ONCE, Kind.RAW)
            for _ in range(clients)
        ]
        took: list[float] = []
        stuck = 0
        with working(asking):
            for number in range(restarts):
                tenant = tenants[number % len(tenants)]
                if pause:
                    wait_until(lambda tenant=tenant: _listeners(running, tenant) == 1, "the old process's end", 60)  # type: ignore[misc]
                try:
                    took.append(_restart(running, tenant, f"word-{number + 1}"))
                except TimeoutError:
                    stuck += 1
        carried_out = sum((running.home / f"data/t.{each}/n").stat().st_size for each in tenants)
    for method in ("POST", "GET"):
        for kind in (Kind.ONCE, Kind.RAW):
            count = total(asking, kind, method)
            note = f"of {count.good + count.lost:,}; {_why(count.failures)}".rstrip("; ")
            yield Figure("restart", f"{name}: {method}s lost, {kind.value}", count.lost, "requests", 0, note)
    extra = carried_out - sum(total(asking, kind, "POST").good for kind in Kind)
    yield Figure("restart", f"{name}: POSTs carried out beyond those answered", extra, "requests", 0)
    yield Figure("restart", f"{name}: edits not live after {PATIENCE:g} s", stuck, "restarts", 0, f"of {restarts}")
    yield Figure(
        "restart",
        f"{name}: from edit to the new process",
        median(took or [PATIENCE]) * 1000,
        "ms",
        note="under that load",
    )


def _restart(running: Atc, tenant: str, word: str) -> float:
    """Restart a tenant by an edit; seconds until the new process carries out POSTs. Raises `TimeoutError`."""

    def say(document: Document) -> None:
        document["users"]["t"]["tenants"][tenant]["env"]["WORD"] = word

    began = time.perf_counter()
    running.edit(say)
    wait_until(lambda: word.encode() in answer(running.port, f"/t/{tenant}/", "POST"), "the restart", PATIENCE)
    return time.perf_counter() - began


def _listeners(running: Atc, tenant: str) -> int:
    """How many processes of a tenant listen."""
    lines = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    place = f"{running.home}/.atc/run/t.{tenant}/"
    return sum(place in line and line.split()[3] == _LISTENING for line in lines)


def _why(failures: list[str]) -> str:
    return ", ".join(f"{count} {said}" for said, count in Counter(failures).most_common(3))
