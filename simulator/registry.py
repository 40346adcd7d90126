"""The apps, machines and volumes of a simulation, and which app a host name leads to."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from simulator.caches import SessionRule
from simulator.config import Port
from simulator.lifecycle import State
from simulator.machine import Machine
from simulator.scope import Borders, Place


@dataclass
class App:
    """An app; one without an address is only reached by a replay."""

    name: str
    org: str = "personal"
    network: str = "default"
    hosts: tuple[str, ...] = ()
    ips: list[dict[str, str]] = field(default_factory=list)

    @property
    def place(self) -> Place:
        """Where it belongs."""
        return Place(self.name, self.org, self.network)

    @property
    def ip(self) -> str:
        """Its public address; '' if it has none."""
        return next((each["ip"] for each in self.ips if each["type"] != "private_v6"), "")


@dataclass
class Volume:
    """A directory that outlives its machine."""

    id: str
    name: str
    app: str
    region: str
    size_gb: int
    directory: Path
    machine: str = ""
    created_at: float = field(default_factory=time.time)


class NameTaken(Exception):
    """Somebody has an app of that name."""


@dataclass
class Registry:
    """Everything there is."""

    borders: Borders = field(default_factory=Borders)
    default_app: str = ""
    apps: dict[str, App] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)

    def add_app(self, app: App) -> App:
        """Names are unique in the whole world."""
        if app.name in self.apps:
            raise NameTaken(app.name)
        self.apps[app.name] = app
        return app

    def give_address(self, app: App, kind: str = "shared_v4") -> dict[str, str]:
        """Let the outside reach an app."""
        number = len(app.ips) + 1
        ip = f"fdaa:0:1::{number}" if kind == "private_v6" else f"203.0.113.{number}"
        app.ips.append({"ip": ip, "type": kind})
        return app.ips[-1]

    def machines_of(self, app: str) -> list[Machine]:
        """Those that were not destroyed."""
        return [each for each in self.machines.values() if each.identity.app == app and not is_gone(each)]

    def app_at(self, host: str) -> App | None:
        """The app that a host name leads to."""
        name = host.partition(":")[0].lower()
        for app in self.apps.values():
            if name == f"{app.name}.fly.dev" or any(_matches(each, name) for each in app.hosts):
                return app
        return self.apps.get(self.default_app)

    def ports(self, app: str, number: int) -> Iterable[Port]:
        """What the machines of an app say of a port that clients see."""
        services = [service for each in self.machines_of(app) if (service := each.config.service(number))]
        return [port for service in services if (port := service.port(number))]

    def session_rules(self, app: str, port: int) -> tuple[SessionRule, ...]:
        """The rules of the session cache: those of the first machine, since all should have the same."""
        return next((each.config.session_rules(port) for each in self.machines_of(app)), ())

    def drop_volume(self, volume: Volume) -> None:
        """Delete a volume and what is in it."""
        self.volumes.pop(volume.id, None)
        shutil.rmtree(volume.directory, ignore_errors=True)


def is_gone(machine: Machine) -> bool:
    """Was it destroyed?"""
    return machine.state is State.DESTROYED


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and "." not in name.removesuffix(pattern[1:])
    return pattern.lower() == name
