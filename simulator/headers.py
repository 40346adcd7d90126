"""The headers that the proxy adds, replaces and removes. Pure; names are lower case."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from simulator.replay import Transform

Headers = tuple[tuple[str, str], ...]
FORGEABLE = frozenset(
    {"fly-replay-src", "fly-replay-failed", "fly-replay-cache-status", "fly-preferred-instance-unavailable"}
)
_OWN = frozenset({"fly-client-ip", "fly-region", "fly-forwarded-port", "fly-request-id", "x-forwarded-proto"})
_OWN_TOO = frozenset({"x-forwarded-port", "x-forwarded-ssl", "x-request-start"})
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te"}
)
_ULID = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class Request:
    """A request without its body."""

    method: str
    target: str
    headers: Headers
    is_upgrade: bool = False

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """The first of that name; '' if there is none."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True)
class Arrival:
    """What an edge knows of a request besides what the client said."""

    region: str
    port: int
    client_ip: str
    app_ip: str
    request_id: str
    at: float  # seconds since 1970


def ulid(now: float, rng: random.Random) -> str:
    """A name that sorts by time."""
    number = (int(now * 1000) << 80) | rng.getrandbits(80)
    return "".join(_ULID[(number >> shift) & 31] for shift in range(125, -1, -5))


def without(headers: Iterable[tuple[str, str]], names: Iterable[str]) -> Headers:
    """Headers without some."""
    gone = set(names)
    return tuple(each for each in headers if each[0] not in gone)


def with_arrival(request: Request, arrival: Arrival) -> Request:
    """The request as any machine gets it."""
    proto = "https" if arrival.port == 443 else "http"
    chain = [value for name, value in request.headers if name == "x-forwarded-for"]
    via = [value for name, value in request.headers if name == "via"]
    added = (
        ("fly-client-ip", arrival.client_ip),
        ("fly-forwarded-port", str(arrival.port)),
        ("fly-region", arrival.region),
        ("fly-request-id", arrival.request_id),
        ("x-forwarded-for", ", ".join([*chain, arrival.client_ip, arrival.app_ip])),
        ("x-forwarded-proto", proto),
        ("x-forwarded-port", str(arrival.port)),
        ("x-forwarded-ssl", "on" if proto == "https" else "off"),
        ("x-request-start", f"t={int(arrival.at * 1e6)}"),
        ("via", ", ".join([*via, "1.1 fly.io"])),
    )
    return replace(request, headers=without(request.headers, _OWN | _OWN_TOO | {"x-forwarded-for", "via"}) + added)


def transformed(request: Request, transform: Transform | None) -> Request:
    """The request as a replay changes it."""
    if not transform:
        return request
    headers = without(request.headers, transform.delete_headers)
    headers = without(headers, [name for name, _ in transform.set_headers]) + transform.set_headers
    return replace(request, headers=headers, target=transform.path or request.target)


def replay_source(instance: str, region: str, at: float, state: str) -> str:
    """The value of `fly-replay-src`."""
    fields = [f"instance={instance}", f"region={region}", f"t={int(at * 1e6)}"]
    return ";".join([*fields, f"state={state}"] if state else fields)


def replay_failed(*, instance: str, app: str, region: str, source: str, reason: str, elapsed: float) -> str:
    """The value of `fly-replay-failed`."""
    said = {"instance": instance, "app": app, "region": region, "replay_source": source, "reason": reason}
    return ";".join(f"{key}={value}" for key, value in said.items()) + f";elapsed_ms={int(elapsed * 1000)}"
