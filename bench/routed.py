"""What a request for another machine costs nginx.

Where Fly Proxy replays it, against a bare nginx that says `return 307` with the same header; where nginx passes it on
to another host, against a bare `proxy_pass` to the same one. Figures are CPU of the workers per request; the variants
take turns, and each round compares what was measured side by side. And what `nginx -t` takes when many users are
elsewhere.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from bench.bare import BUFFERED, bare
from bench.compile import built
from bench.figures import Figure
from bench.hot_path import CONNECTIONS, REQUESTS, Variant
from bench.load import Client
from bench.running import APPS, atc, free_port, scratch

ROUNDS = 15
MANY = 10_000
RULE = {"path": "**.pdf", "methods": ["GET"], "app": "printer"}
_BARE_REPLAY = """
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            add_header fly-replay region=sea always;
            return 307;
        }}
    }}
"""
_BARE_HOP = """
    upstream other {{
        server 127.0.0.1:{other};
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            proxy_pass http://other;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""
_OTHER_HOST = """
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{ return 200 "{body}"; }}
    }}
"""


def run() -> Iterator[Figure]:
    """The figures: `nginx -t`, replays, a hop from host to host."""
    for count in (0, 10, MANY):
        yield _tested(f"nginx -t, {count:,} users elsewhere", _document(count))
    yield _tested(f"nginx -t, {MANY:,} users elsewhere, a rule", _document(MANY, rules=[RULE]))
    yield from _replays()
    yield from _hops()


def _tested(name: str, document: dict[str, Any]) -> Figure:
    cost = built(json.dumps(document))
    note = f"{cost.tested_peak:.0f} MB; build {cost.cpu:.1f} s, {cost.peak:.0f} MB"
    return Figure("routed", name, cost.tested, "s CPU", note=note)


def _replays() -> Iterator[Figure]:
    elsewhere = "/remote-7/2025/"
    with ExitStack() as stack:
        add = stack.enter_context
        variants = [
            add(_bare("bare return 307", "off", _BARE_REPLAY, 307)),
            add(_bare("bare return 307, buffered log", BUFFERED, _BARE_REPLAY, 307)),
            add(_atc("replay, 0 users elsewhere", _document(0), "/here/away/", 307)),
            add(_atc("replay, 10 users elsewhere", _document(10), elsewhere, 307)),
            add(_atc(f"replay, {MANY:,} users elsewhere", _document(MANY), elsewhere, 307)),
            add(_atc("replay, a rule that does not match", _document(10, rules=[RULE]), elsewhere, 307)),
            add(_atc("replay, a rule that matches", _document(10, rules=[RULE]), f"{elsewhere}a.pdf", 307)),
            add(_atc("a tenant of this machine", _document(10), "/here/a/", 200)),
            add(_atc("a tenant of this machine, a rule", _document(10, rules=[RULE]), "/here/a/", 200)),
        ]
        costs = _costs(variants)
    yield from _absolute(costs)
    for name in [each for each in costs if each.startswith("replay")]:
        for under in ("bare return 307", "bare return 307, buffered log"):
            yield _ratio(costs, name, under)
    yield _ratio(costs, "a tenant of this machine, a rule", "a tenant of this machine")


def _hops() -> Iterator[Figure]:
    with ExitStack() as stack:
        add, other = stack.enter_context, free_port()
        server = _OTHER_HOST.format(port=other, body="x" * 1024)
        add(bare(server, other, add(scratch()), requests=1_000_000_000))
        hosts = {"sea": f"http://127.0.0.1:{other}", "iad": "http://127.0.0.1:9"}
        fleet = {"target": "proxy", "secret": "everybody's", "hosts": hosts}
        document = {"fleet": fleet, "app": _app(), "users": {"remote-7": {"region": "sea", "tenants": {"2025": {}}}}}
        variants = [
            add(_bare("bare proxy_pass to a host", "off", _BARE_HOP, 200, other=other)),
            add(_bare("bare proxy_pass to a host, buffered log", BUFFERED, _BARE_HOP, 200, other=other)),
            add(_atc("hop to a host", document, "/remote-7/2025/", 200)),
        ]
        costs = _costs(variants)
    yield from _absolute(costs)
    for under in ("bare proxy_pass to a host", "bare proxy_pass to a host, buffered log"):
        yield _ratio(costs, "hop to a host", under)


def _costs(variants: list[Variant]) -> dict[str, list[float]]:
    """CPU per request of each variant in each round."""
    for each in variants:
        each.client.flood(REQUESTS)
    rounds = [[each.measure() for each in variants] for _ in range(ROUNDS)]
    return {each.name: list(cost) for each, cost in zip(variants, zip(*rounds, strict=True), strict=True)}


def _absolute(costs: dict[str, list[float]]) -> Iterator[Figure]:
    for name, cost in costs.items():
        yield Figure("routed", name, median(cost), "us CPU/request")


def _ratio(costs: dict[str, list[float]], over: str, under: str) -> Figure:
    found = median(a / b for a, b in zip(costs[over], costs[under], strict=True))
    extra = median(a - b for a, b in zip(costs[over], costs[under], strict=True))
    return Figure("routed", f"{over} / {under}", found, "times", note=f"{extra:.1f} us more")


def _app() -> dict[str, str]:
    return {"start": f"{sys.executable} {APPS / 'fast.py'} ${{socket}}"}


def _document(count: int, *, rules: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """One user here, who has a tenant elsewhere as well, and so many users elsewhere."""
    here = {"here": {"tenants": {"a": {"pin": True}, "away": {"region": "sea"}}}}
    others = {f"remote-{number}": {"region": "sea", "tenants": {"2025": {}}} for number in range(count)}
    fleet = {"app": "shows", "secret": "everybody's", "elsewhere": rules or []}
    return {"fleet": fleet, "app": _app(), "users": here | others}


@contextmanager
def _bare(name: str, log: str, servers: str, status: int, **names: Any) -> Iterator[Variant]:
    with scratch() as home:
        port = free_port()
        with bare(servers.format(port=port, **names), port, Path(home), log=log) as workers:
            yield Variant(name, lambda: workers, Client(port, "/remote-7/2025/", CONNECTIONS, status))


@contextmanager
def _atc(name: str, document: dict[str, Any], path: str, status: int) -> Iterator[Variant]:
    with atc(document, region="iad") as running:
        if status == 200:
            running.wake(path)
        yield Variant(name, running.workers, Client(running.port, path, CONNECTIONS, status))
