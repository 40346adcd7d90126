"""What a warm tenant's visitors notice while twenty sleeping tenants boot at once.

Requests come at a fixed rate, whatever the answers do; a time counts from when its request was due. Each boot takes
0.3 s of CPU. The client runs with raised priority where it may, so that its own waiting is not measured.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from statistics import median

from bench.figures import Figure
from bench.load import Client, Load
from bench.running import APPS, Atc, answer, atc, is_ok

BOOTS = 20
BOOT = 0.3  # seconds of CPU
RATE = 500.0  # requests per second
ROUNDS = 3
BAR = 1.5


def run() -> Iterator[Figure]:
    """The figures: alone and under boots, in turns."""
    small = f"{sys.executable} {APPS / 'small.py'}"
    document = {
        "app": {"start": small, "env": {"LISTEN": "${socket}"}},
        "users": {
            "warm": {"tenants": {"a": {"pin": True}}},
            "cold": {"env": {"BOOT": str(BOOT)}, "tenants": {f"n{each}": {} for each in range(BOOTS * ROUNDS)}},
        },
    }
    alone, under = [], []
    with atc(document) as running, _urgent():
        running.wake("/warm/a/")
        client = Client(running.port, "/warm/a/", 16)
        client.pace(RATE, 1)
        for number in range(ROUNDS):
            alone.append(client.pace(RATE, 3))
            under.append(_while_booting(running, client, number * BOOTS))
    for name, loads in (("alone", alone), (f"while {BOOTS} tenants boot", under)):
        for share in (50, 99):
            value = median(each.percentile(share) for each in loads) * 1000
            yield Figure("warm_under_boots", f"p{share} {name}", value, "ms")
    ratio = median(b.percentile(99) / a.percentile(99) for a, b in zip(alone, under, strict=True))
    yield Figure("warm_under_boots", "p99 under boots / alone", ratio, "times", BAR)


def _while_booting(running: Atc, client: Client, first: int) -> Load:
    """The load while tenants boot that sleep until now; it ends when the last of them answered.

    A process of its own wakes them: threads of this one would keep it from its clock.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(os.getpid).result()
        waking = pool.submit(_wake, running.port, [f"/cold/n{first + each}/" for each in range(BOOTS)])
        loads = []
        while not waking.done():
            loads.append(client.pace(RATE, 0.5))
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
