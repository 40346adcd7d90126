"""The configuration of a machine, in the words of the Machines API: checked, and with its defaults filled in."""

from __future__ import annotations

import re
import signal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from simulator.caches import SessionRule
from simulator.unknowns import Unknowns

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_NANOSECONDS = 1e9


class BadConfig(Exception):
    """A configuration that the API would not take."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


def seconds(said: object) -> float:
    """A duration: nanoseconds as a number, or text with a unit."""
    if isinstance(said, int | float) and not isinstance(said, bool):
        return said / _NANOSECONDS
    found = _DURATION.fullmatch(str(said))
    if not found:
        raise ValueError(f"not a duration: {said!r}")
    return float(found[1]) * _UNITS[found[2]]


class ReplayCache(_Part):
    """A rule of the session cache."""

    path_prefix: str
    ttl_seconds: float
    type: Literal["cookie", "header"]
    name: str
    allow_bypass: bool = False


class HTTPOptions(_Part):
    """How the proxy treats HTTP at a port."""

    replay_cache: tuple[ReplayCache, ...] = ()


class Port(_Part):
    """A port that clients see."""

    port: int
    handlers: tuple[str, ...] = ()
    force_https: bool = False
    http_options: HTTPOptions = HTTPOptions()


class Concurrency(_Part):
    """How much a machine takes."""

    type: Literal["connections", "requests"] = "connections"
    soft_limit: int = 20
    hard_limit: int | None = None


class Check(_Part):
    """How the health of a service is asked."""

    type: Literal["http", "tcp"]
    interval: float = 15.0
    timeout: float = 2.0
    grace_period: float = 5.0
    method: str = "GET"
    path: str = "/"

    _read = field_validator("interval", "timeout", "grace_period", mode="before")(seconds)


class Service(_Part):
    """What a machine offers through the proxy."""

    protocol: Literal["tcp", "udp"] = "tcp"
    internal_port: int = 8080
    ports: tuple[Port, ...] = ()
    concurrency: Concurrency = Concurrency()
    autostart: bool | None = None
    autostop: Literal["off", "stop", "suspend"] = "off"
    min_machines_running: int = 0
    checks: tuple[Check, ...] = ()

    @field_validator("autostop", mode="before")
    @classmethod
    def _read_autostop(cls, said: object) -> object:
        return {True: "stop", False: "off"}.get(said, said) if isinstance(said, bool) else said

    def port(self, number: int) -> Port | None:
        """The port of that number."""
        return next((each for each in self.ports if each.port == number), None)


class Guest(_Part):
    """The size of a machine."""

    cpu_kind: str = "shared"
    cpus: int = 1
    memory_mb: int = 256


class Init(_Part):
    """What is run."""

    exec: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    swap_size_mb: int = 0


class Mount(_Part):
    """A volume and where it is."""

    volume: str
    path: str = ""


class Restart(_Part):
    """What happens when the main process ends."""

    policy: Literal["no", "always", "on-failure"] = "on-failure"
    max_retries: int = 10


class Stop(_Part):
    """How a machine is stopped."""

    signal: str = ""
    timeout: float = 5.0

    _read = field_validator("timeout", mode="before")(seconds)


class MachineConfig(_Part):
    """The configuration of a machine."""

    image: str
    guest: Guest = Guest()
    env: dict[str, str] = Field(default_factory=dict)
    init: Init = Init()
    mounts: tuple[Mount, ...] = Field(default=(), max_length=1)
    services: tuple[Service, ...] = ()
    metadata: dict[str, str] = Field(default_factory=dict)
    restart: Restart = Restart()
    stop_config: Stop = Stop()
    auto_destroy: bool = False
    schedule: str = ""

    @field_validator("env")
    @classmethod
    def _own_names(cls, env: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in env if name.startswith("FLY_")]:
            raise ValueError(f"reserved: {', '.join(taken)}")
        return env

    @property
    def can_suspend(self) -> bool:
        """May its memory be saved?"""
        return self.guest.memory_mb <= 2048 and not self.init.swap_size_mb and not self.schedule

    def service(self, port: int) -> Service | None:
        """The service at a port that clients see."""
        return next((each for each in self.services if each.port(port)), None)

    def session_rules(self, port: int) -> tuple[SessionRule, ...]:
        """The rules of the session cache at a port."""
        service = self.service(port)
        found = service.port(port) if service else None
        return tuple(
            SessionRule(each.path_prefix, each.ttl_seconds, each.type, each.name, each.allow_bypass)
            for each in (found.http_options.replay_cache if found else ())
        )

    def stop_signal(self, unknowns: Unknowns, name: str = "") -> signal.Signals:
        """The signal that stops it."""
        return signal.Signals[name or self.stop_config.signal or unknowns.kill_signal]


def read_config(said: Any) -> MachineConfig:
    """Check a configuration; `BadConfig` says what is wrong with it."""
    try:
        config = MachineConfig.model_validate(said)
        if name := config.stop_config.signal:
            signal.Signals[name]
    except ValidationError as problem:
        first = problem.errors()[0]
        raise BadConfig(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except KeyError as problem:
        raise BadConfig(f"unknown signal {problem}") from None
    return config


def command(config: MachineConfig, images: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """What a machine runs: its own words, or those of its image."""
    if config.init.exec:
        return config.init.exec
    known = images.get(config.image, images.get(config.image.partition("@")[0], ()))
    words = (*(config.init.entrypoint or known), *config.init.cmd)
    if not words:
        raise BadConfig(f"the simulator has no command for the image {config.image!r}")
    return words
