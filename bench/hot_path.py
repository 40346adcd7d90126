"""What a request for a running tenant costs nginx, against an nginx that does nothing but pass requests on.

Both have the same number of workers and the same upstream: a second nginx that answers 1 KB on a unix socket. Figures
are CPU of the workers per request, in microseconds; the variants take turns, and each round compares what was measured
side by side.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

from bench.bare import BUFFERED, bare
from bench.figures import Figure
from bench.load import Client
from bench.processes import cpu_seconds
from bench.running import APPS, answer, atc, free_port, is_ok, program, scratch
from bench.waiting import wait_until

ROUNDS = 31
REQUESTS = 4_000  # per round and variant
CONNECTIONS = 32
BAR = 1.15

_SERVER = """
    upstream app {{
        server unix:{home}/app.sock;
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""


@dataclass
class Variant:
    """One way from a client to the upstream."""

    name: str
    workers: Callable[[], list[int]]
    client: Client

    def measure(self) -> float:
        """CPU of the workers per request, in microseconds."""
        workers = self.workers()
        before = cpu_seconds(workers)
        load = self.client.flood(REQUESTS)
        return (cpu_seconds(workers) - before) / load.good * 1e6


def run() -> Iterator[Figure]:
    """The figures: atc with its access log (the default) and without, against bare nginx without and with one."""
    with ExitStack() as stack:
        variants = [
            stack.enter_context(_bare("bare proxy_pass", "off")),
            stack.enter_context(_bare("bare proxy_pass, buffered log", BUFFERED)),
            stack.enter_context(_tenant("atc")),
            stack.enter_context(_tenant("atc, access log off", log_requests=False)),
            stack.enter_context(_tenant("atc, one tenant of 1,000", others=999)),
        ]
        for each in variants:
            each.client.flood(REQUESTS)
        rounds = [[each.measure() for each in variants] for _ in range(ROUNDS)]
    costs = list(zip(*rounds, strict=True))
    for variant, cost in zip(variants, costs, strict=True):
        yield Figure("hot_path", variant.name, median(cost), "us CPU/request")
    bare, bare_logged, default, quiet, crowded = costs
    for name, over, under, bar in (
        ("atc / bare", default, bare, BAR),
        ("atc / bare with a log", default, bare_logged, None),
        ("atc without its log / bare", quiet, bare, BAR),
        ("atc with 1,000 tenants / bare", crowded, bare, None),
    ):
        yield Figure("hot_path", name, median(a / b for a, b in zip(over, under, strict=True)), "times", bar)


@contextmanager
def _bare(name: str, log: str) -> Iterator[Variant]:
    with scratch() as home, ExitStack() as stack:
        environment = os.environ | {"SOCKET": f"{home}/app.sock"}
        stack.enter_context(program([sys.executable, str(APPS / "fast.py")], home / "app.log", env=environment))
        port = free_port()
        workers = stack.enter_context(bare(_SERVER.format(home=home, port=port), port, home, log=log))
        wait_until(lambda: is_ok(answer(port, "/t/a/")), "an answer of the bare nginx")
        yield Variant(name, lambda: workers, Client(port, "/t/a/", CONNECTIONS))


@contextmanager
def _tenant(name: str, *, log_requests: bool = True, others: int = 0) -> Iterator[Variant]:
    document = {
        "server": {"log_requests": log_requests},
        "app": {"start": f"{sys.executable} {APPS / 'fast.py'} ${{socket}}"},
        "users": {"t": {"tenants": {f"other-{each}": {} for each in range(others)} | {"a": {"pin": True}}}},
    }
    with atc(document) as running:
        running.wake("/t/a/")
        yield Variant(name, running.workers, Client(running.port, "/t/a/", CONNECTIONS))
