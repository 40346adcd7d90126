"""The tenants of a real service, a machine for each of their regions, and a fleet that serves them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.running import APPS, scratch
from simulator.description import AppSpec, EdgeSpec, FleetSpec
from simulator.edge import Edge
from simulator.running import Running, running
from simulator.unknowns import Tempo, Unknowns
from tests.fleet.machines import atc, replace_start
from tests.showcases import of_december, tenant_ids
from tests.simulator.fleets import PORT, Door

EDGES = ("iad", "ams")
REPLAYS: dict[str, Any] = {"no cache": {"timeout": "20s", "fallback": True}, "cache": "1m"}
# A machine of this size boots in tens of milliseconds, but atc on a busy computer does not listen at once.
TEMPO = Tempo(resume=0.1, boot=0.3, suspend=0.1, connect_window=30, connect_tries=1000)


@dataclass(frozen=True)
class World:
    """A fleet, and which machine has which tenant."""

    fly: Running
    owners: dict[str, str]  # tenant: machine
    doors: Mapping[str, Edge | Door]  # where clients arrive

    @property
    def machines(self) -> list[str]:
        """All of them."""
        return sorted(set(self.owners.values()))

    def notes(self) -> list[tuple[int, str]]:
        """Each request that was carried out, by its number, and the tenant that did it."""
        volumes = [volume for each in self.machines if (volume := self.fly.machine(each).volume)]
        files = [file for each in volumes for file in each.glob("tenants/*/notes")]
        lines = [line.split() for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        return [(int(number), tenant) for number, tenant in lines]


def document(users: dict[str, Any], fleet: dict[str, Any], **server: Any) -> str:
    """An atc.yml whose application says what it got."""
    env = {"OWNER": "${tenant.id}", "MACHINE": "${ENV:FLY_MACHINE_ID}", "NOTES": "${tenant.dir}/notes"}
    return json.dumps(
        {
            "server": {"http_port": PORT, "hold": "30s", **server},
            "fleet": {"secret": "everybody's", **fleet},
            "app": {
                "root": str(APPS),
                "start": f"{sys.executable} -I -S echo.py",
                "env": env | {"SOCKET": "${socket}"},
            },
            "idle": "10s",
            "storage": {"volume": "${ENV:DATA}/tenants"},
            "users": users,
        }
    )


def names_of_machines(users: dict[str, Any]) -> dict[str, str]:
    """One for each region of the users."""
    regions = sorted({each["region"] for each in users.values()})
    return {region: f"{number:014x}" for number, region in enumerate(regions, 0xAA000000000001)}


@contextmanager
def world(replay: Any, seed: int) -> Iterator[World]:
    """The fleet, everybody asleep; one machine in each region, all with the same atc.yml."""
    users = of_december()
    machines = names_of_machines(users)
    with scratch() as home:
        file = home / "atc.yml"
        spec = FleetSpec(
            apps=(AppSpec(name="shows"),),
            machines=tuple(replace_start(atc(machines[each], each, file)) for each in machines),
            edges=tuple(EdgeSpec(region=each) for each in EDGES),
            default_app="shows",
            unknowns=Unknowns(),
            tempo=TEMPO,
            seed=seed,
        )
        with running(spec) as fly:
            said = {"address": fly.edge(EDGES[0]).url, "replay": replay}
            file.write_text(document(users, said), encoding="utf-8")
            owners = {each: machines[users[each.partition("/")[0]]["region"]] for each in tenant_ids(users)}
            yield World(fly, owners, {each: fly.edge(each) for each in EDGES})
