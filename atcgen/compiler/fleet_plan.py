"""The part of the plan that is about other machines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Remote:
    """A tenant that another machine serves."""

    id: str
    path: str
    host: str
    target: str  # the machine: region=sea, instance=… or host=…
    origin: str
    strips: bool = False  # as in TenantPlan


@dataclass(frozen=True)
class Replay:
    """A key of a hashed map and the machine that answers for it."""

    key: str
    target: str


@dataclass(frozen=True)
class RemotePrefix:
    """A URL prefix with a machine other than the one its user lives on."""

    path: str
    location: str
    target: str
    origin: str


@dataclass(frozen=True)
class Rule:
    """Requests that something else than a tenant answers."""

    pattern: str  # of method, space and path
    target: str  # '' for this machine
    origin: str


@dataclass(frozen=True)
class Known:
    """What is said of a machine, or of another app, to those that send requests there."""

    target: str
    json: str  # for Fly Proxy
    private: str  # its name on the private network


@dataclass(frozen=True)
class HostPlan:
    """Another host that runs atc."""

    target: str  # host=NAME
    server: str  # address and port for an upstream group; '' where only the name is known, and looked up each time
    keep: str  # what requests are passed to: a group that keeps connections,
    once: str  # and one that does not
    group: str
    tls_name: str  # whom its certificate has to name


@dataclass(frozen=True)
class FleetPlan:
    """How requests reach other machines."""

    target: str  # fly, proxy or kubernetes
    app: str
    address: str  # where everybody reaches the app
    resolvers: tuple[str, ...]
    private_port: int
    token: str = field(repr=False)  # what shows that a request comes from another machine; '' without a secret
    replay_fields: str  # what is added to every fly-replay header
    replay_json: str  # the same for its JSON form
    replay_cache: int  # seconds, 0 is never
    uncached: tuple[str, ...]  # users of whom not all tenants are on one machine
    websocket_private: bool
    steers: bool
    rules: tuple[Rule, ...]
    known: tuple[Known, ...]  # of what rules name
    hosts: tuple[HostPlan, ...]
    authorities: str  # the file of certificates by which theirs are judged; '' where none has one


def load_fleet(data: dict[str, Any]) -> FleetPlan:
    """Read back what was written as JSON."""
    lists = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
    kinds = {"rules": Rule, "known": Known, "hosts": HostPlan}
    return FleetPlan(**(data | lists | {key: tuple(kind(**each) for each in data[key]) for key, kind in kinds.items()}))
