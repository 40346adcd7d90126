"""A fleet as a file describes it: apps, machines and edges. From text to frozen values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simulator.unknowns import Tempo, Unknowns

_PORTS = [{"port": 80, "handlers": ["http"]}, {"port": 443, "handlers": ["tls", "http"]}]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EdgeSpec(_Part):
    """An edge: a region, and for each external port one of the loopback interface; 0 is a free one."""

    region: str
    ports: dict[int, int] = Field(default_factory=lambda: {80: 0, 443: 0})
    lag: float = 0  # seconds by which it learns of changes later than others


class AppSpec(_Part):
    """An app; one that is not public is only reached by a replay."""

    name: str
    org: str = "personal"
    network: str = "default"
    hosts: tuple[str, ...] = ()
    public: bool = True
    token: Literal["app", "org", ""] = "app"  # what FLY_API_TOKEN of its machines is good for
    secrets: dict[str, str] = Field(default_factory=dict)  # variables of all its machines, as of `fly secrets`


class MachineSpec(_Part):
    """A machine: its configuration as the Machines API spells it, or a command and what is usual."""

    app: str
    region: str
    id: str = ""
    name: str = ""
    command: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    port: int = 8080  # where it listens; for services that are not given
    services: tuple[dict[str, Any], ...] | None = None  # None is HTTP at 80 and 443, with autostart
    volume: str = ""  # a name; made when no volume of the app and region has it
    config: dict[str, Any] = Field(default_factory=dict)
    start: bool = True

    def document(self) -> dict[str, Any]:
        """Its configuration for the Machines API."""
        usual = {"internal_port": self.port, "autostart": True, "ports": _PORTS}
        services = [usual] if self.services is None else list(self.services)
        said: dict[str, Any] = {"image": "described", "env": self.env, "services": services, **self.config}
        if self.command:
            said["init"] = {**said.get("init", {}), "exec": list(self.command)}
        return said


class ServiceSpec(_Part):
    """A process that machines need, such as a store: it is there before they are, and is no machine itself."""

    name: str
    command: tuple[str, ...]  # {port}, {here} and {home}, a directory of its own, are filled in, also in variables
    port: int = 0  # of the loopback interface; 0 is a free one
    env: dict[str, str] = Field(default_factory=dict)
    requests: tuple[str, ...] = ()  # what it is asked once it listens, such as "PUT /bucket"


class FleetSpec(_Part):
    """All of it."""

    apps: tuple[AppSpec, ...] = ()
    machines: tuple[MachineSpec, ...] = ()
    services: tuple[ServiceSpec, ...] = ()
    edges: tuple[EdgeSpec, ...] = (EdgeSpec(region="iad"), EdgeSpec(region="ams"))
    default_app: str = ""
    primary_region: str = ""
    images: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # what a machine with an image runs
    cross_network: frozenset[str] = frozenset()  # orgs
    replay_sources: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # org that receives: orgs that may send
    unknowns: Unknowns = Unknowns()
    tempo: Tempo = Tempo()
    seed: int | None = None
    api_port: int = 0

    @model_validator(mode="after")
    def _apps_exist(self) -> FleetSpec:
        known = {each.name for each in self.apps}
        wanted = {each.app for each in self.machines} | ({self.default_app} - {""})
        if missing := wanted - known:
            raise ValueError(f"no such app: {', '.join(sorted(missing))}")
        return self


def read_fleet(text: str) -> FleetSpec:
    """Parse a description; pydantic's `ValidationError` says what is wrong with it."""
    said = yaml.safe_load(text)
    for key, usual in (("unknowns", Unknowns()), ("tempo", Tempo())):
        if isinstance(said, dict) and key in said:
            said[key] = asdict(usual) | said[key]
    return FleetSpec.model_validate(said)
