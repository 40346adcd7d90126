"""What a warm tenant's visitors notice while twenty sleeping tenants boot at once.

Requests come at a fixed rate, whatever the answers do; a time counts from when its request was due. A boot of the small
application takes 0.3 s of CPU. The client runs with raised priority where it may, so that its own waiting is not
measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from statistics import median

from atcgen.system.agent import ask
from bench.cold_start import CALENDAR, calendar
from bench.figures import Figure
from bench.load import Client, Load
from bench.running import APPS, Atc, Document, answer, atc, is_ok

BOOTS = [f"cold/n{number}" for number in range(20)]
BOOT = 0.3  # seconds of CPU
ROUNDS = 3
BAR = 1.5


def run() -> Iterator[Figure]:
    """The figures for a small application, and for the calendar where it is installed."""
    small = {"start": f"{sys.executable} {APPS / 'small.py'}", "env": {"LISTEN": "${socket}"}}
    slowly = {"env": {"BOOT": str(BOOT)}}
    yield from _figures("small app", {"app": small, "users": {"cold": slowly}}, rate=500, seconds=3)
    if (CALENDAR / ".venv").is_dir():
        yield from _figures("calendar", {"app": calendar(), "users": {"cold": {}}}, rate=40, seconds=10)


def _figures(name: str, document: Document, *, rate: float, seconds: float) -> Iterator[Figure]:
    """Alone for so many seconds and under boots, in turns; `rate` is in requests per second."""
    cold = document["users"]["cold"] | {"tenants": {each.partition("/")[2]: {} for each in BOOTS}}
    document = document | {"users": {"warm": {"tenants": {"a": {"pin": True}}}, "cold": cold}}
    alone, under = [], []
    with atc(document) as running, _urgent():
        for each in ("warm/a", *BOOTS):
            running.wake(f"/{each}/")  # prepares it
        client = Client(running.port, "/warm/a/", 16)
        client.pace(rate, 1)
        for _ in range(ROUNDS):
            _put_to_sleep(running)
            alone.append(client.pace(rate, seconds))
            under.append(_while_booting(running, client, rate))
    for when, loads in (("alone", alone), (f"while {len(BOOTS)} tenants boot", under)):
        for share in (50, 99):
            value = median(each.percentile(share) for each in loads) * 1000
            yield Figure("warm_under_boots", f"{name}: p{share} {when}", value, "ms")
    ratio = median(b.percentile(99) / a.percentile(99) for a, b in zip(alone, under, strict=True))
    yield Figure("warm_under_boots", f"{name}: p99 under boots / alone", ratio, "times", BAR)


def _put_to_sleep(running: Atc) -> None:
    for each in BOOTS:
        ask(running.home / ".atc", "POST", "/stop", each)


def _while_booting(running: Atc, client: Client, rate: float) -> Load:
    """The load while tenants boot that sleep until now; it ends when the last of them answered.

    A process of its own wakes them: threads of this one would keep it from its clock.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(os.getpid).result()
        waking = pool.submit(_wake, running.port, [f"/{each}/" for each in BOOTS])
        loads = []
        while not waking.done():
            loads.append(client.pace(rate, 0.5))
        waking.result()
    return Load(sum(each.good for each in loads), [time for each in loads for time in each.latencies])


def _wake(port: int, paths: list[str]) -> None:
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)  # it was started by a process in a hurry
    with ThreadPoolExecutor(len(paths)) as pool:
        for said in pool.map(lambda path: answer(port, path), paths):
            if not is_ok(said):
                raise RuntimeError(f"a tenant did not boot: {said[:200]!r}")


@contextmanager
def _urgent() -> Iterator[None]:
    """This process before others, as long as it lasts; needs root."""
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, usual - 10)
    try:
        yield
    finally:
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, usual)
