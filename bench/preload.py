"""What `app.preload` gives: how long a wake takes with it and without, and what ten tenants that are awake hold.

Of the calendars that are installed: wakes are of a tenant that sleeps, one at a time, by its first request through
nginx, the zygote having learned what there is to load. Memory is the proportional share (PSS) of all processes of the
tenants, what stands for them, and the zygote included; MB.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from atcgen.system.agent import ask
from bench.cold_start import CALENDAR, calendar
from bench.figures import Figure
from bench.processes import command, descendants, memory
from bench.running import Atc, Document, answer, atc, is_ok

RAILS = CALENDAR.parent / "calendar-rails"
TENANTS = 10
ROUNDS = 3
BAR = 0.6  # of the time without


def run() -> Iterator[Figure]:
    """The figures for each application that is there."""
    if (CALENDAR / ".venv").is_dir():
        yield from compared("Flask calendar", calendar())
    if (RAILS / "Gemfile.lock").exists():
        yield from compared("Rails calendar", {"root": str(RAILS), "platform": "rails"})


def compared(name: str, app: Document) -> Iterator[Figure]:
    """An application without and with `preload`."""
    without, held = _measured(app)
    woken, shared = _measured(app | {"preload": True})
    yield Figure("preload", f"{name}: woken, ordinary", without, "ms")
    yield Figure("preload", f"{name}: woken by a fork", woken, "ms")
    yield Figure("preload", f"{name}: the second above the first", woken / without, "", BAR)
    yield Figure("preload", f"{name}: ten tenants, ordinary", sum(held.values()), "MB PSS")
    parts = ", ".join(f"{kind} {size:.1f}" for kind, size in shared.items())
    yield Figure("preload", f"{name}: ten tenants, forked", sum(shared.values()), "MB PSS", note=parts)


def _measured(app: Document) -> tuple[float, dict[str, float]]:
    tenants: Document = {f"n{each}": {} for each in range(TENANTS)}
    with atc({"app": app, "idle": "1h", "users": {"t": {"tenants": tenants}}}) as running:
        paths = [f"/t/{each}/" for each in tenants]
        for _ in range(2 if app.get("preload") else 1):  # the first time one is forked, the zygote learns
            for path in paths:
                running.wake(path)
            if app.get("preload"):
                time.sleep(3)
            _stop(running)
        took: list[float] = []
        for _ in range(ROUNDS):
            took += [_woken(running, path) for path in paths]
            sizes = _sizes(running)
            _stop(running)
    return median(took), sizes


def _woken(running: Atc, path: str) -> float:
    began = time.perf_counter()
    said = answer(running.port, path)
    took = time.perf_counter() - began
    if not is_ok(said):
        raise RuntimeError(f"{path} was answered with {said[:300]!r}")
    return took * 1000


def _stop(running: Atc) -> None:
    for number in range(TENANTS):
        ask(running.home / ".atc", "POST", "/stop", f"t/n{number}")


def _tenants(running: Atc) -> list[int]:
    return [each for each in descendants(running.pid) if _kind(command(each))]


def _kind(line: str) -> str:
    if "preload/wait.sh" in line:
        return "what stands for them"
    if "/zygote." in line:
        return "zygote"
    return "processes" if "gunicorn" in line or "puma" in line else ""


def _sizes(running: Atc) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in _tenants(running):
        kind = _kind(command(each))
        found[kind] = found.get(kind, 0.0) + memory(each)[1]
    return found
