"""The calendars of the examples in each framework, side by side: what they pass, how they start, what they hold.

All that are installed are served by one atc. First each is looked at as a browser sees it (`tests.platforms.harness`).
Then they take turns, three tenants each: the tenant's `prepare` and `start` are run by hand, and timed until the first
200; it is woken through nginx, prepared anew by that, put to sleep, and woken again, which is the wake of the table;
memory is of its processes after that page, no other tenant being awake. At last those that can are woken by a fork.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from atcgen.compiler.plan import TenantPlan, load
from atcgen.system.agent import ask
from bench import by_hand
from bench.figures import Figure
from bench.processes import descendants, memory
from bench.running import Atc, Document, answer, atc, is_ok, scratch
from tests.platforms.calendars import NAMES, missing, subject
from tests.platforms.checks import failures
from tests.platforms.harness import Subject, examine

TENANTS = ("n1", "n2", "n3")
SPARE = "spare"  # by which the release is built
# Presets for Python look for the environment by a shell script; a zygote has to know which Python it is.
_SERVE = ".venv/bin/python ${shims}/python/atc_serve.py"
FORKED: dict[str, Document] = {
    "flask": {"start": f"{_SERVE} flask ${{socket}}"},
    "django": {"start": f"{_SERVE} django ${{socket}}"},
    "rails": {},
}
MEASURES = {
    "prepare, first": "ms",
    "prepare, again": "ms",
    "boot by hand": "ms",
    "wake": "ms",
    "wake by a fork": "ms",
    "RSS": "MB",
    "PSS": "MB",
}


@dataclass
class Row:
    """What was found of one platform."""

    platform: str
    why_not: str = ""  # it was not measured
    passed: int = 0
    failed: tuple[str, ...] = ()
    measured: dict[str, list[float]] = field(default_factory=dict)  # by the names of MEASURES

    def note(self, name: str, value: float) -> None:
        """One more value."""
        self.measured.setdefault(name, []).append(value)

    def text(self) -> str:
        """As a row of a table in Markdown."""
        checks = f"{self.passed} / {len(self.failed)}"
        cells = [f"{median(self.measured[name]):,.0f}" if name in self.measured else "" for name in MEASURES]
        return f"| {self.platform} | {' | '.join([self.why_not] if self.why_not else [checks, *cells])} |"


_rows: list[Row] = []


def run() -> Iterator[Figure]:
    """The figures of each, and the checks that failed, of which there should be none."""
    _rows[:] = [Row(each, missing(each)) for each in NAMES]
    with scratch() as home:
        subjects = {row.platform: subject(row.platform, home) for row in _rows if not row.why_not}
        rows = [row for row in _rows if not row.why_not]
        for row in rows:
            _look(row, subjects[row.platform])
        load_before = os.getloadavg()[0]
        with atc(_document(subjects)) as running:
            _measure(running, rows)
        said = f"load average {load_before:.1f} to {os.getloadavg()[0]:.1f}"
    for row in _rows:
        print(row.text(), *row.failed, sep="\n  ", file=sys.stderr)
    for row in rows:
        yield Figure("platforms", f"{row.platform}: checks failed", len(row.failed), "", 0, f"{row.passed} hold")
        for name, unit in MEASURES.items():
            if name in row.measured:
                values = ", ".join(f"{each:,.0f}" for each in row.measured[name])
                yield Figure("platforms", f"{row.platform}: {name}", median(row.measured[name]), unit, None, values)
    yield Figure("platforms", "platforms measured", len(rows), "", None, said)


def table() -> str:
    """What was measured last, in Markdown."""
    names = [f"{name}, {unit}" for name, unit in MEASURES.items()]
    head = f"| platform | checks passed / failed | {' | '.join(names)} |"
    return "\n".join((head, f"|{'---|' * (len(names) + 2)}", *(each.text() for each in _rows)))


def _look(row: Row, of: Subject) -> None:
    checks, _ = examine(of)
    row.failed = tuple(failures(checks))
    row.passed = len(checks) - len(row.failed)
    print(f"{row.platform}: {row.passed} of {len(checks)} checks hold", file=sys.stderr)


def _document(subjects: dict[str, Subject]) -> Document:
    users: Document = {}
    for name, each in subjects.items():
        app = {**each.app, "start_timeout": "5m"}
        users[name] = {"app": app, "tenants": {tenant: {} for tenant in (SPARE, *TENANTS)}}
        if name in FORKED:
            forked = {**app, "preload": True, **FORKED[name]}
            users[_forked(name)] = {"app": forked, "tenants": {tenant: {} for tenant in TENANTS}}
    return {"server": {"hold": "10m"}, "idle": "1h", "users": users}


def _measure(running: Atc, rows: Sequence[Row]) -> None:
    plan = load((running.home / ".atc/current/plan.json").read_text(encoding="utf-8"))
    tenants = {each.id: each for each in plan.tenants}
    for row in rows:
        _woken(running, f"{row.platform}/{SPARE}")
        _stop(running, f"{row.platform}/{SPARE}")
    for name in TENANTS:
        for row in rows:
            tenant = tenants[f"{row.platform}/{name}"]
            _by_hand(row, tenant, running.home / "by-hand" / tenant.program)
            _through(row, tenant, running)
    for row in rows:
        if row.platform in FORKED:
            _by_forks(row, running)


def _by_hand(row: Row, tenant: TenantPlan, root: Path) -> None:
    shutil.copytree(tenant.root, root, symlinks=True)
    row.note("prepare, first", by_hand.prepare(tenant, root))
    row.note("prepare, again", by_hand.prepare(tenant, root))
    row.note("boot by hand", by_hand.boot(tenant, root))


def _through(row: Row, tenant: TenantPlan, running: Atc) -> None:
    _woken(running, tenant.id)
    _stop(running, tenant.id)
    row.note("wake", _woken(running, tenant.id))
    _, said = ask(running.home / ".atc", "GET", "/status")
    (pid,) = (each["pid"] for each in said["tenants"] if each["id"] == tenant.id)
    sizes = [memory(each) for each in (pid, *descendants(pid))]
    row.note("RSS", sum(rss for rss, _ in sizes))
    row.note("PSS", sum(pss for _, pss in sizes))
    _stop(running, tenant.id)


def _by_forks(row: Row, running: Atc) -> None:
    """The zygote learns from the wakes before."""
    mine = [f"{_forked(row.platform)}/{name}" for name in TENANTS]
    for is_measured in (False, False, True):
        for each in mine:
            took = _woken(running, each)
            if is_measured:
                row.note("wake by a fork", took)
        time.sleep(3)
        for each in mine:
            _stop(running, each)


def _forked(platform: str) -> str:
    return f"{platform}-forked"


def _woken(running: Atc, tenant: str) -> float:
    began = time.perf_counter()
    said = answer(running.port, f"/{tenant}/", timeout=600)
    took = time.perf_counter() - began
    if not is_ok(said):
        raise RuntimeError(f"{tenant} answered {said[:500]!r}")
    return took * 1000


def _stop(running: Atc, tenant: str) -> None:
    ask(running.home / ".atc", "POST", "/stop", tenant)
