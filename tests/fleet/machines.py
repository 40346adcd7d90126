"""Machines that run atc behind a simulated Fly Proxy, and what their tenants say."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from simulator.description import AppSpec, EdgeSpec, FleetSpec, MachineSpec
from simulator.edge import Edge
from simulator.running import Running, running
from simulator.unknowns import Tempo, Unknowns
from tests.compiler.real_nginx import require_nginx
from tests.simulator.fleets import PORT, UPSTREAM, Answer, Door, ask

ROOT = Path(__file__).parents[2]
APPLICATION = ROOT / "tests/system/application.py"
CALM = replace(Unknowns().calm(), stale_view=0.0)
QUICK = Tempo(
    resume=0.05, boot=0.05, suspend=0.05, missing_target=0.4, soft_cordon=0.02, connect_window=60, connect_tries=2000
)
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
    """A machine of the app `shows` that runs atc with its own copy of a file."""
    own = "{volume}/atc.yml"
    run = f"test -e {own} || cp {file} {own}; exec {sys.executable} -m atcgen run -c {own} --state {{volume}}/atc"
    command = ("/bin/sh", "-c", run)
    env = {"DATA": "{volume}", "ATC_BIND": "{address}", "PYTHONPATH": str(ROOT), **more.pop("env", {})}
    return MachineSpec(
        app="shows", id=name, region=region, command=command, env=env, port=PORT, volume=f"v{name}", **more
    )


@dataclass
class Entrance:
    """A machine that clients reach without any proxy before it."""

    host: str
    ports: dict[int, int] = field(default_factory=lambda: {443: PORT})


@dataclass
class Shows:
    """The app `shows`, and where its clients arrive."""

    fly: Running
    file: Path
    target: str
    doors: dict[str, Edge | Door]

    def ask(self, where: str, path: str, **more: Any) -> Answer:
        """One request at an edge of Fly Proxy, or at a host of that region."""
        return ask(self.doors[where], path, **more)

    def edit(self, old: str, new: str) -> None:
        """Change atc.yml on every machine that was started."""
        for each in self.fly.fleet.registry.machines.values():
            file = each.volume / "atc.yml" if each.volume else None
            if file and file.exists():
                file.write_text(file.read_text().replace(old, new))

    def is_up(self, where: str) -> bool:
        """Does anybody answer there?"""
        try:
            return self.ask(where, "/up").status == 200
        except OSError:
            return False


@contextmanager
def shows(
    text: str, places: Mapping[str, str], directory: Path, *machines: MachineSpec, target: str = "fly", **more: Any
) -> Iterator[Shows]:
    """The app with a machine of each name in its region, all with the same atc.yml; and other machines.

    In the text, ADDRESS stands for the public address, and HOSTS for the addresses of the machines by name and region.
    """
    require_nginx()
    file = directory / "atc.yml"
    names = dict.fromkeys(("shows", *(each.app for each in machines)))
    usual = {
        "unknowns": CALM,
        "tempo": QUICK,
        "seed": 1,
        "edges": (EdgeSpec(region="iad"), EdgeSpec(region="ams")),
        "apps": tuple(AppSpec(name=each, public=each == "shows") for each in names),
    }
    own = tuple(replace_start(atc(name, region, file)) for name, region in places.items())
    with running(FleetSpec(machines=(*own, *machines), default_app="shows", **(usual | more))) as fly:
        addresses = {name: fly.machine(name).identity.address for name in places}
        by_region = {region: addresses[name] for name, region in reversed(list(places.items()))}
        hosts = ", ".join(f"{name}: 'http://{each}:{PORT}'" for name, each in (addresses | by_region).items())
        edge = f"http://127.0.0.1:{fly.edge('iad').ports[443]}"
        file.write_text(APP + text.replace("ADDRESS", edge).replace("HOSTS", f"{{{hosts}}}"))
        doors: dict[str, Edge | Door] = {region: Entrance(each) for region, each in by_region.items()}
        if target == "fly":
            doors = {region: fly.edge(region) for region in ("iad", "ams")}
        else:
            for name in places:
                fly.start(name)
        try:
            yield Shows(fly, file, target, doors)
        except BaseException:
            print(fly.errors)
            for each in fly.fleet.registry.machines.values():
                print(each.identity.id, each.log.read_text() if each.log.exists() else "")
            raise


def replace_start(spec: MachineSpec) -> MachineSpec:
    """One that sleeps until somebody wants it."""
    return spec.model_copy(update={"start": False})


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


def upstream(app: str, name: str, region: str) -> MachineSpec:
    """A machine of another app, which says what it was asked."""
    return MachineSpec(app=app, id=name, region=region, command=UPSTREAM, port=PORT, env={"PORT": str(PORT)})
