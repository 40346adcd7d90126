"""What atc itself holds in memory: everything but the tenants, after ten tenants woke and after 1,000 requests.

Resident memory of every process, which counts what they share as often as they share it; beside it their
proportional share, which counts it once. MB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from bench.figures import Figure
from bench.load import Client
from bench.processes import children, command, descendants, memory
from bench.running import APPS, Atc, atc

TENANTS = 10
REQUESTS = 1_000
BAR = 90.0


def run() -> Iterator[Figure]:
    """The figures, in total and per process."""
    app = {"start": f"{sys.executable} {APPS / 'small.py'}", "env": {"LISTEN": "${socket}"}}
    document = {"app": app, "users": {"t": {"tenants": {f"n{each}": {} for each in range(TENANTS)}}}}
    with atc(document) as running:
        for number in range(TENANTS):
            running.wake(f"/t/n{number}/")
        woken = _by_process(running)
        for number in range(TENANTS):
            Client(running.port, f"/t/n{number}/", 4).flood(REQUESTS // TENANTS)
        asked = _by_process(running)
    yield from _totals("ten tenants woken", woken, bar=BAR)
    yield from _totals("after 1,000 requests", asked, bar=BAR)
    for name, (rss, pss) in asked.items():
        yield Figure("memory", f"  {name}", rss, "MB RSS", note=f"{pss:.1f} MB PSS")


def _totals(what: str, found: dict[str, tuple[float, float]], bar: float) -> Iterator[Figure]:
    rss, pss = (sum(each) for each in zip(*found.values(), strict=True))
    yield Figure("memory", what, rss, "MB RSS", bar, f"{pss:.1f} MB PSS")


def _by_process(running: Atc) -> dict[str, tuple[float, float]]:
    """RSS and PSS of each process of atc, by what it is."""
    found = {"supervisord": memory(running.pid)}
    nginx = running.nginx
    for pid in descendants(running.pid):
        line = command(pid)
        if pid == nginx:
            name = "nginx, master"
        elif pid in children(nginx):
            name = f"nginx, {line.removeprefix('nginx: ')} {pid}"
        elif "atcgen.agent" in line:
            name = "agent"
        elif "listener.py" in line:
            name = "listener"
        elif line.startswith("tail"):
            name = "holder of the agent's socket"
        elif "apps/" in line:
            continue  # a tenant
        else:
            name = line
        found[name] = memory(pid)
    return found
