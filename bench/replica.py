"""What copying databases costs: a start with databases that are there, a start that restores them, and litestream.

The store is a directory. Starts with and without copies take turns; so do restores through atc and `litestream restore`
alone. Figures are milliseconds, unless something else is said.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

from atcgen.system.agent import ask
from atcgen.system.host import find_litestream
from bench.cold_start import CALENDAR, calendar
from bench.figures import Figure
from bench.processes import children, command, cpu_seconds, descendants, memory
from bench.running import APPS, Atc, Document, answer, atc, is_ok
from bench.waiting import wait_until

STARTS = 12
RESTORES = 5
SIZES = (1, 100)  # MB
AWAKE = (1, 10, 100)
IDLE = 10.0  # seconds for which litestream's CPU is counted
BAR = 10.0
_MEGABYTE = 1 << 20


def run() -> Iterator[Figure]:
    """The figures."""
    small: Document = {"start": f"{sys.executable} {APPS / 'small.py'}", "env": {"LISTEN": "${socket}"}}
    yield from _starts("small app", small)
    if (CALENDAR / ".venv").is_dir():
        yield from _starts("calendar", calendar())
    for size in SIZES:
        yield from _restores(small, size)
    for count in AWAKE:
        yield from _cost(small, count)


def _document(app: Document, tenants: list[str], *, copied: bool) -> Document:
    storage: Document = {"volume": "./data"} | ({"replica": "file:./copies"} if copied else {})
    return {"app": app, "storage": storage, "users": {"t": {"tenants": {each: {} for each in tenants}}}}


def _starts(name: str, app: Document) -> Iterator[Figure]:
    with ExitStack() as stack:
        plain, copied = (stack.enter_context(atc(_document(app, ["a"], copied=each))) for each in (False, True))
        for running in (plain, copied):
            _make_database(running, "a", 1)
            running.wake("/t/a/")
        times = [[_start(each, "a") for each in (plain, copied)] for _ in range(STARTS)]
    yield Figure("replica", f"{name}: woken, not copied", median(each[0] for each in times), "ms")
    yield Figure("replica", f"{name}: woken, copied", median(each[1] for each in times), "ms")
    above = median(with_copies - without for without, with_copies in times)
    yield Figure("replica", f"{name}: copied above not copied", above, "ms", BAR)


def _start(running: Atc, tenant: str) -> float:
    _stop(running, tenant)
    began = time.perf_counter()
    said = answer(running.port, f"/t/{tenant}/", timeout=120)
    if not is_ok(said):
        raise RuntimeError(f"it was answered with {said[:300]!r}")
    return (time.perf_counter() - began) * 1000


def _stop(running: Atc, tenant: str) -> None:
    """Have a tenant asleep, with its databases given back."""
    home = running.home / ".atc"
    ask(home, "POST", "/stop", f"t/{tenant}")

    def is_at_rest() -> bool:
        said = next(each for each in ask(home, "GET", "/status")[1]["tenants"] if each["id"] == f"t/{tenant}")
        return bool(said["state"] == "stopped" and said["copies"] in ("", "at rest"))

    wait_until(is_at_rest, "a tenant at rest", 120)


def _make_database(running: Atc, tenant: str, megabytes: int) -> Path:
    """A database that nobody has used yet."""
    directory = running.home / f"data/t.{tenant}"
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "db.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY, body BLOB)")
        rows = ((os.urandom(_MEGABYTE // 4),) for _ in range(megabytes * 4))
        database.executemany("INSERT INTO things (body) VALUES (?)", rows)
        database.commit()
    return file


def _restores(app: Document, megabytes: int) -> Iterator[Figure]:
    with atc(_document(app, ["a"], copied=True)) as running:
        file = _make_database(running, "a", megabytes)
        running.wake("/t/a/")
        through, alone = [], []
        for _ in range(RESTORES):
            _stop(running, "a")
            alone.append(_restore_alone(running))
            shutil.rmtree(file.parent)
            through.append(_start(running, "a"))
            if not file.exists():
                raise RuntimeError("nothing was restored")
    yield Figure("replica", f"{megabytes} MB: litestream restore alone", median(alone), "ms")
    yield Figure("replica", f"{megabytes} MB: first answer of a tenant that is restored", median(through), "ms")


def _restore_alone(running: Atc) -> float:
    """The latest copy, by litestream's own command."""
    copies = running.home / "copies/tenants/t.a"
    path = max((each for each in copies.iterdir() if each.is_dir()), key=lambda each: each.stat().st_mtime)
    output = running.home / "alone.sqlite3"
    began = time.perf_counter()
    words = [find_litestream(), "restore", "-o", str(output), f"file://{path}/db.sqlite3"]
    subprocess.run(words, check=True, capture_output=True)
    took = time.perf_counter() - began
    output.unlink()
    return took * 1000


def _cost(app: Document, count: int) -> Iterator[Figure]:
    tenants = [f"n{each}" for each in range(count)]
    with atc(_document(app, tenants, copied=True)) as running:
        for each in tenants:
            _make_database(running, each, 1)
        for each in tenants:
            running.wake(f"/t/{each}/")
        wait_until(lambda: _all_copied(running, count), "everything copied", 120)
        pids = [each for each in descendants(running.pid) if "litestream" in command(each) and not children(each)]
        before = [_threads_cpu(each) for each in pids]
        time.sleep(IDLE)
        cpu = sum(_threads_cpu(each) for each in pids) - sum(before)
        found = [memory(each) for each in pids]
    rss, pss = (sum(each) for each in zip(*found, strict=True))
    note = f"{pss:.0f} MB PSS, {len(pids)} processes"
    yield Figure("replica", f"litestream for {count} awake tenants", rss, "MB RSS", note=note)
    yield Figure("replica", f"litestream for {count} awake tenants, idle", 100 * cpu / IDLE, "% of a CPU")


def _all_copied(running: Atc, count: int) -> bool:
    said = ask(running.home / ".atc", "GET", "/status")[1]["tenants"]
    return int(sum(each["copies"] == "copied" for each in said)) == count


def _threads_cpu(pid: int) -> float:
    return sum(cpu_seconds([int(each.name)]) for each in Path(f"/proc/{pid}/task").iterdir())
