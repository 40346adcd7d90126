"""A running simulation: its machines, edges, DNS and API, and the failures that a test wants."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from simulator.api.flaps import Flaps
from simulator.autostop import Autostop
from simulator.caches import Caches
from simulator.checks import Checks
from simulator.controls import Controls
from simulator.description import FleetSpec, MachineSpec
from simulator.dns import Resolvers
from simulator.edge import Edge
from simulator.identity import Identity
from simulator.lifecycle import State
from simulator.machine import Machine
from simulator.registry import App, Registry, Volume, is_gone
from simulator.scope import Borders
from simulator.services import Service, addresses
from simulator.setting import Addresses, Setting

ORG_TOKEN = "FlyV1 fm2_simulator"


class Fleet(Controls):
    """Everything that runs; to be used as `async with Fleet(spec) as fleet`."""

    def __init__(self, spec: FleetSpec) -> None:
        self.spec = spec
        self.home = Path(tempfile.mkdtemp(prefix="fly-", dir="/tmp"))
        rng = random.Random(spec.seed)
        self.setting = Setting(self.home, spec.unknowns, spec.tempo, dict(spec.images), rng)
        sources = frozenset((to, sender) for to, senders in spec.replay_sources.items() for sender in senders)
        self.registry = Registry(Borders(spec.cross_network, sources), spec.default_app)
        self.addresses = Addresses(random.Random())
        self.resolvers = Resolvers(self.registry)
        self.services = [Service(each, self._room(each.name)) for each in spec.services]
        self.flaps = Flaps(self, ORG_TOKEN)
        self.checks = Checks(self.registry, self.setting)
        self.autostop = Autostop(self.registry, self.setting)
        shared = self._caches()
        pairs = [(each, shared if spec.unknowns.caches_are_shared else self._caches()) for each in spec.edges]
        self.edges = [Edge(each, self.registry, self.setting, own) for each, own in pairs]

    def _room(self, name: str) -> Path:
        """A directory for a service."""
        room = self.home / f"service-{name}"
        room.mkdir()
        return room

    def _caches(self) -> Caches:
        unknowns = self.spec.unknowns
        lost = lambda: self.setting.happens(unknowns.cache_drop)  # noqa: E731 - a name for an argument
        return Caches(self.setting.clock, lost, unknowns.longest_ttl)

    async def __aenter__(self) -> Fleet:
        try:
            await self._open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        await self.close()

    async def _open(self) -> None:
        await asyncio.gather(*(each.open() for each in self.services))
        await self.flaps.open(self.spec.api_port)
        for app in self.spec.apps:
            added = self.registry.add_app(App(app.name, app.org, app.network, app.hosts))
            if app.public:
                self.registry.give_address(added)
        for each in self.edges:
            await each.open()
        for machine in self.spec.machines:
            await self._described(machine)
        await asyncio.gather(*(each.wait(State.STARTED) for each in self.registry.machines.values() if each.events))
        self.setting.tasks.start(self.checks.run())
        self.setting.tasks.start(self.autostop.run())

    async def close(self) -> None:
        """End everything; nothing is left."""
        for edge in self.edges:
            await edge.close()
        left = [each for each in self.registry.machines.values() if not is_gone(each)]
        await asyncio.gather(*(each.destroy("flyd") for each in left))
        await asyncio.gather(*(each.close() for each in self.services))
        await self.flaps.close()
        self.resolvers.close()
        await self.setting.tasks.cancel()
        shutil.rmtree(self.home, ignore_errors=True)

    # machines

    async def _described(self, spec: MachineSpec) -> Machine:
        said = spec.document()
        if spec.volume:
            said["mounts"] = [{"volume": self.volume(spec.app, spec.region, spec.volume).id, "path": "/data"}]
        return await self.create(spec.app, spec.region, said, made=spec.id, name=spec.name, start=spec.start)

    def volume(self, app: str, region: str, name: str) -> Volume:
        """The volume of that name which no machine has, or a new one."""
        for each in self.registry.volumes.values():
            if (each.app, each.region, each.name, each.machine) == (app, region, name, ""):
                return each
        return self.new_volume(app, region, name, 1)

    def new_volume(self, app: str, region: str, name: str, size_gb: int) -> Volume:
        """An empty one."""
        made = f"vol_{self.setting.rng.getrandbits(64):016x}"
        directory = self.home / made
        directory.mkdir()
        volume = Volume(made, name, app, region, size_gb, directory)
        self.registry.volumes[made] = volume
        return volume

    async def create(
        self, app: str, region: str, doc: dict[str, Any], *, made: str = "", name: str = "", start: bool = True
    ) -> Machine:
        """A new machine, with its socket and its address; its start goes on in the background."""
        made = made or self.setting.machine_id()
        home = self.home / made
        home.mkdir()
        resolver = await self.resolvers.address(self.registry.apps[app].network, region)
        identity = Identity(made, name or made, app, region, self.addresses.fresh(), home / "api")
        identity.extra_env = {
            "PRIMARY_REGION": self.spec.primary_region or region,
            "FLY_FLAPS_BASE_URL": self.flaps.url,
            "FLY_API_TOKEN": self._token(app),
            "FLY_RESOLVER": resolver,
        }
        identity.secrets = next((each.secrets for each in self.spec.apps if each.name == app), {})
        identity.services = addresses(self.services)
        mounts = doc.get("mounts") or []
        volume = self.registry.volumes[mounts[0]["volume"]] if mounts else None
        machine = Machine(identity, doc, volume.directory if volume else None, self.setting)
        if volume:
            volume.machine = made
        self.registry.machines[made] = machine
        await self.flaps.open_socket(machine)
        if start:
            machine.begin_start("user")
        return machine

    def _token(self, app: str) -> str:
        kind = next((each.token for each in self.spec.apps if each.name == app), "app")
        return {"app": self.flaps.app_token(app), "org": self.flaps.token, "": ""}[kind]

    async def migrate(self, name: str) -> None:
        """Move a machine to another host: its name stays, its address and its volume's name do not."""
        machine = self.registry.machines[name]
        ran = await machine.rest("flyd")
        machine.identity.address = self.addresses.fresh()
        for volume in [each for each in self.registry.volumes.values() if each.machine == name]:
            del self.registry.volumes[volume.id]
            volume.id = f"vol_{self.setting.rng.getrandbits(64):016x}"
            self.registry.volumes[volume.id] = volume
            machine.configure({**machine.doc, "mounts": [{**machine.doc["mounts"][0], "volume": volume.id}]})
        if ran:
            await machine.start("flyd")
