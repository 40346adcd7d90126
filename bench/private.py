"""What it adds to a wake that a tenant has directories of its own: by mounts, and by copies of the release.

Three runs of atc serve the same small application from a directory with 5,000 files in node_modules: sharing it, with
three directories mounted, and from copies. Every tenant is woken once, which makes its copy, and put to sleep; after
that each is woken in turn with those of the other runs. Figures are medians in milliseconds.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from atcgen.system.mounts import can_mount
from bench.cold_start import _awake, _through
from bench.figures import Figure
from bench.running import APPS, Atc, Document, atc, scratch
from bench.waiting import wait_until

TENANTS = 12
FILES, DIRECTORIES = 5_000, 600  # of node_modules
DATA = ["storage", "tmp", "log"]


def run() -> Iterator[Figure]:
    """The wake of each, what is above the plain one, and what a copy costs."""
    with scratch() as code, ExitStack() as stack:
        _fill(code)
        ways: dict[str, Document] = {"shared": {}, "copy": {"private": DATA, "private_by": "copy"}}
        if can_mount():
            ways["mount"] = {"private": DATA, "private_by": "mount"}
        running = {way: stack.enter_context(atc(_document(code, app))) for way, app in ways.items()}
        plans = {way: _plan(each) for way, each in running.items()}
        first = {way: _wake_all(running[way], plans[way]) for way in ways}
        for way in ways:
            _wait_until_asleep(running[way], plans[way])
        took: dict[str, list[float]] = {way: [] for way in ways}
        for number in range(TENANTS):
            for way in ways:
                took[way].append(_through(running[way], plans[way]["tenants"][number]["location"]))
        yield Figure("private", "woken, sharing the release", median(took["shared"]), "ms")
        for way in [each for each in ways if each != "shared"]:
            above = [own - shared for own, shared in zip(took[way], took["shared"], strict=True)]
            yield Figure("private", f"woken by {way}, above that", median(above), "ms")
        yield from _of_copies(first, running["copy"])


def _of_copies(first: dict[str, list[float]], copying: Atc) -> Iterator[Figure]:
    making = median(first["copy"]) - median(first["shared"])
    yield Figure("private", f"first wake, above the same when shared: {FILES:,} files are linked", making, "ms")
    copies = [each for each in (copying.home / ".atc/copies").glob("*/*") if each.is_dir() and not each.is_symlink()]
    own = {each for each in copies[0].rglob("*") if each.lstat().st_nlink == 1 or each.is_dir()}
    yield Figure("private", "inodes of a copy", len(own) + 1, "")


def _fill(code: Path) -> None:
    for number in range(FILES):
        file = code / "node_modules" / f"m{number % DIRECTORIES}" / f"{number}.js"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("module.exports = 1\n" * 20, encoding="utf-8")
    for each in DATA:
        (code / each).mkdir()
    shutil.copy(APPS / "small.py", code)


def _document(code: Path, app: Document) -> Document:
    start = {"root": str(code), "start": f"{sys.executable} small.py", "env": {"LISTEN": "${socket}"}}
    return {"app": start | app, "idle": "1s", "users": {"t": {"tenants": {f"n{each}": {} for each in range(TENANTS)}}}}


def _plan(running: Atc) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((running.home / ".atc/current/plan.json").read_text(encoding="utf-8"))
    return plan


def _wait_until_asleep(running: Atc, plan: dict[str, Any]) -> None:
    wait_until(lambda: not _awake(running, plan), "every tenant asleep")


def _wake_all(running: Atc, plan: dict[str, Any]) -> list[float]:
    took = []
    for tenant in plan["tenants"]:
        began = time.perf_counter()
        running.wake(tenant["location"])
        took.append((time.perf_counter() - began) * 1000)
    return took
