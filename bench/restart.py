"""Requests that are lost in twenty restarts under load: an edit of a tenant's env starts the new process beside the old
one. Every POST has to be answered, and to be carried out once.

The tenants take turns, and one is restarted again only when the old process of its last restart is gone, which drains
for as long as nginx keeps connections to it in its pool.
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
TENANTS = ("a", "b", "c", "d", "e")
POSTS, GETS = 1, 1  # clients of each kind and tenant
_LISTENING = "00010000"  # a flag in the kernel's table


def run() -> Iterator[Figure]:
    """The figures."""
    app = {"start": f"{sys.executable} {APPS / 'small.py'}", "env": {"LISTEN": "${socket}", "COUNT": "${tenant.dir}/n"}}
    document = {"app": app, "users": {"t": {"tenants": {each: {"env": {"WORD": "word-0"}} for each in TENANTS}}}}
    with atc(document) as running:
        for tenant in TENANTS:
            running.wake(f"/t/{tenant}/")
        clients = [
            Client(running.port, method, f"/t/{tenant}/", kind, b"x" * 100 if method == "POST" else b"")
            for tenant in TENANTS
            for method, count in (("POST", POSTS), ("GET", GETS))
            for kind in (Kind.ONCE, Kind.RAW)
            for _ in range(count)
        ]
        with working(clients):
            took = [_restart(running, TENANTS[each % len(TENANTS)], f"word-{each + 1}") for each in range(RESTARTS)]
        carried_out = sum((running.home / f"data/t.{each}/n").stat().st_size for each in TENANTS)
    for method in ("POST", "GET"):
        for kind in (Kind.ONCE, Kind.RAW):
            count = total(clients, kind, method)
            note = f"of {count.good + count.lost:,}; " + _why(count.failures)
            yield Figure("restart", f"{method}s lost, {kind.value}", count.lost, "requests", 0, note.rstrip("; "))
    answered = sum(total(clients, kind, "POST").good for kind in Kind)
    yield Figure("restart", "POSTs carried out more than once", carried_out - answered, "requests", 0)
    yield Figure("restart", "from edit to the new process answering", median(took) * 1000, "ms", note="under that load")


def _restart(running: Atc, tenant: str, word: str) -> float:
    """Restart a tenant by an edit; seconds until the new process carries out POSTs."""
    wait_until(lambda: _listeners(running, tenant) == 1, "the end of the old process", 60)

    def say(document: Document) -> None:
        document["users"]["t"]["tenants"][tenant]["env"]["WORD"] = word

    began = time.perf_counter()
    running.edit(say)
    wait_until(lambda: word.encode() in answer(running.port, f"/t/{tenant}/", "POST"), "the restart", 60)
    return time.perf_counter() - began


def _listeners(running: Atc, tenant: str) -> int:
    """How many processes of a tenant listen."""
    lines = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    place = f"{running.home}/.atc/run/t.{tenant}/"
    return sum(place in line and line.split()[3] == _LISTENING for line in lines)


def _why(failures: list[str]) -> str:
    return ", ".join(f"{count} {said}" for said, count in Counter(failures).most_common(3))
