"""Machines that run atc behind a simulated Fly Proxy, and what their tenants say."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulator.description import AppSpec, EdgeSpec, FleetSpec, MachineSpec
from simulator.running import Running, running
from simulator.unknowns import Tempo, Unknowns
from tests.compiler.real_nginx import require_nginx
from tests.simulator.fleets import PORT, Answer, ask

ROOT = Path(__file__).parents[2]
APPLICATION = ROOT / "tests/system/application.py"
CALM = replace(Unknowns().calm(), stale_view=0.0)
QUICK = Tempo(resume=0.05, boot=0.05, suspend=0.05, missing_target=0.4, soft_cordon=0.02, connect_window=30)
APP = f"""\
server: {{http_port: {PORT}}}
app:
  root: {APPLICATION.parent}
  start: {sys.executable} application.py
  env:
    {{OWNER: '${{tenant.id}}', NOTES: '${{tenant.dir}}/notes', STARTS: '${{tenant.dir}}/starts', SOCKET: '${{socket}}'}}
storage: {{volume: '${{ENV:DATA}}/tenants'}}
"""


def atc(name: str, region: str, file: Path, **more: Any) -> MachineSpec:
    """A machine of the app `shows` that runs atc with a file."""
    command = (sys.executable, "-m", "atcgen", "run", "-c", str(file), "--state", "{volume}/atc")
    env = {"DATA": "{volume}", "BIND": "{address}", "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    return MachineSpec(
        app="shows", id=name, region=region, command=command, env=env, port=PORT, volume=f"v{name}", **more
    )


@contextmanager
def shows(
    text: str, places: Mapping[str, str], directory: Path, *machines: MachineSpec, **more: Any
) -> Iterator[Running]:
    """The app `shows` with a machine of each name in its region, all with the same atc.yml; and other machines."""
    require_nginx()
    file = directory / "atc.yml"
    address = {"unknowns": CALM, "tempo": QUICK, "seed": 1}
    edges = (EdgeSpec(region="iad"), EdgeSpec(region="ams"))
    names = dict.fromkeys(("shows", *(each.app for each in machines)))
    apps = more.pop("apps", tuple(AppSpec(name=each, public=each == "shows") for each in names))
    own = tuple(atc(name, region, file) for name, region in places.items())
    file.write_text(APP + text)
    spec = FleetSpec(apps=apps, machines=(*own, *machines), edges=edges, default_app="shows", **(address | more))
    with running(spec) as fly:
        file.write_text(text_with_address(APP + text, f"http://127.0.0.1:{fly.edge('iad').ports[443]}"))
        try:
            yield fly
        except BaseException:
            print(fly.errors)
            for each in fly.fleet.registry.machines.values():
                print(each.identity.id, each.log.read_text() if each.log.exists() else "")
            raise


def text_with_address(text: str, address: str) -> str:
    """The file, with the edge as the public address of the app."""
    return text.replace("ADDRESS", address)


def said(answer: Answer) -> str:
    """Which tenant answered a GET."""
    text = answer.body.decode(errors="replace")
    return text.split(" ")[0] if answer.status == 200 else f"{answer.status} {text}"


def digest(body: bytes) -> str:
    """What the application says of a body."""
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def some_bytes(size: int) -> bytes:
    """Bytes by lot, the same for a size."""
    return random.Random(size).randbytes(size)


__all__ = ["PORT", "Answer", "Running", "ask", "atc", "digest", "pytest", "said", "shows", "some_bytes"]
