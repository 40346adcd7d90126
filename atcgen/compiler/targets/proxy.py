"""Hosts that somebody else set up: atc runs on each as a service or in a container, with its name as its instance."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping

from atcgen.compiler import interpolate
from atcgen.compiler.plan import Host
from atcgen.compiler.schema import Config
from atcgen.compiler.source import Document
from atcgen.compiler.targets.dockerfile import APP, dockerfile, state_beside
from atcgen.compiler.targets.variables import variables
from atcgen.diagnostics import Diagnostic

_STATE = "/var/lib/atc"
_ENVIRONMENT = """\
# For root alone to read, a line NAME=value each: {names}.
EnvironmentFile=-/etc/atc/environment
"""
_UNIT = """\
# Made by `atc build` from atc.yml. Install it as /etc/systemd/system/atc.service on {name}.
[Unit]
Description=Tenants of the application
After=network-online.target
Wants=network-online.target

[Service]
User=app
WorkingDirectory={app}
StateDirectory=atc
{environment}ExecStart=/opt/atc/bin/atc run --state {state} --instance {name}
# Port 80 without being root.
AmbientCapabilities=CAP_NET_BIND_SERVICE
# The signal is for supervisord alone; it ends the rest. Longer than server.kill_timeout.
KillMode=mixed
TimeoutStopSec={seconds}
LimitNOFILE=65536
Restart=always

[Install]
WantedBy=multi-user.target
"""


def files(config: Config, document: Document, host: Host) -> Mapping[str, str]:
    """For each host a unit of systemd and a file of Docker Compose: take either."""
    volume = posixpath.join(APP, interpolate.expand(config.storage.volume, {}, host.environ))
    mount, state = state_beside(volume)
    needed = variables(config, document)
    environment = _ENVIRONMENT.format(names=", ".join(needed)) if needed else ""
    seconds = int(config.server.kill_timeout) + 25
    found = {}
    for name in config.fleet.hosts:
        found[f"hosts/{name}/atc.service"] = _UNIT.format(
            name=name, app=APP, state=_STATE, seconds=seconds, environment=environment
        )
        found[f"hosts/{name}/compose.yml"] = _yaml(_compose(config, name, mount, state, needed))
    if config.fleet.hosts and "Dockerfile" not in host.beside:
        found["Dockerfile"] = dockerfile(config.server.http_port, mount, state)
    return found


def _compose(config: Config, name: str, mount: str, state: str, needed: tuple[str, ...]) -> Mapping[str, object]:
    port = config.server.http_port
    image = config.fleet.machine.image
    service: dict[str, object] = {
        **({"image": image} if image else {"build": "../.."}),
        "command": ["--state", state, "--instance", name],
        **({"environment": {each: f"${{{each}?atc.yml needs it}}" for each in needed}} if needed else {}),
        "ports": [f"{port}:{port}"],
        "volumes": [f"atc:{mount}"],
        "stop_signal": "SIGTERM",
        "stop_grace_period": f"{int(config.server.kill_timeout)}s",
        "restart": "always",
    }
    return {"services": {"atc": service}, "volumes": {"atc": {}}}


def _yaml(value: object) -> str:
    """YAML that is JSON: nothing in it can be misread."""
    return f"# Made by `atc build` from atc.yml.\n{json.dumps(value, indent=2, ensure_ascii=False)}\n"


def check(config: Config, document: Document, host: Host) -> Iterable[Diagnostic]:
    """Everything fits."""
    return ()
