"""A fleet on the simulator's Machines API: an atc.yml, a store with leases, and a client that can be killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from atcgen.cli.source import read_text
from atcgen.compiler.names import program_name
from atcgen.compiler.plan import Host, StorePlan
from atcgen.provision.draft import Draft
from atcgen.provision.executor import Executor
from atcgen.provision.existing import Existing
from atcgen.provision.safety import Safety
from atcgen.replica.lease import Chapter, Lease
from atcgen.replica.site import Vault, vault
from atcgen.system.edits import publish
from atcgen.system.fly import Fly
from simulator.description import AppSpec, FleetSpec
from simulator.registry import App
from simulator.running import Running, running
from simulator.unknowns import Tempo, Unknowns
from tests.compiler.compiling import compiled, machine

IMAGES = {"shows:1": ("/bin/sleep", "1000"), "shows:2": ("/bin/sleep", "1001"), "broken:1": ("/bin/false",)}
CALM = replace(Unknowns().calm(), stale_view=0.0, rate_limits=False)
QUICK = Tempo(resume=0.0, boot=0.0, suspend=0.0, soft_cordon=0.0, wait_limit=2.0)
PAUSE = 0.02  # seconds, in place of every longer pause


class Killed(BaseException):
    """The process that applied is gone."""


@dataclass
class Fuse:
    """Kills at the call of a number, before it or after."""

    number: int = 0
    when: str = "before"
    calls: int = 0
    blown: bool = False

    def around(self, call: Callable[[], Any]) -> Any:
        """Do it, or not."""
        self.calls += 1
        if (self.calls, self.when) == (self.number, "before"):
            self.blown = True
            raise Killed
        try:
            return call()
        finally:
            if (self.calls, self.when) == (self.number, "after"):
                self.blown = True
                raise Killed


class FusedFly(Fly):
    """The client, with a fuse around every call."""

    fuse = Fuse()

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None, lease: str) -> Any:
        return self.fuse.around(lambda: super(FusedFly, self)._once(method, path, body, lease))


@dataclass
class World:
    """One app, one atc.yml, one store."""

    sim: Running
    app: str
    home: Path
    said: list[str] = field(default_factory=list)
    former: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what editions say of users who left

    @property
    def file(self) -> Path:
        """atc.yml."""
        return self.home / "atc.yml"

    def write(self, text: str) -> None:
        """Edit atc.yml; the app and the store are said here."""
        head = f"fleet: {{app: {self.app}, machine: {{image: 'shows:1'}}}}\nstorage: {{replica: 'file:./copies'}}\n"
        self.file.write_text(head + text)

    def draft(self, fuse: Fuse | None = None) -> Draft:
        """The file, as commands have it."""
        guard = fuse or Fuse()
        host: Host = machine(base=str(self.home))

        def guarded(file: Path, text: str) -> None:
            guard.around(lambda: publish(file, text))

        return Draft(self.file, host, read_text, lambda text: compiled(text, host), guarded)

    def executor(self, draft: Draft | None = None, fuse: Fuse | None = None, **more: Any) -> Executor:
        """What does the steps; it does not wait for long."""
        guard = fuse or Fuse()
        draft = draft or self.draft(guard)
        pause = lambda seconds: self.sim_pause(min(seconds, PAUSE))  # noqa: E731 - a name for an argument
        fly = FusedFly(self.app, self.sim.token, self.sim.api, pause=pause)
        fly.fuse = guard
        safety = Safety(self.vault, draft.tenants(), more.pop("discards", False), lambda: self.former)
        usual: dict[str, Any] = {"grace": 0, "patience": 0.5, "lease": 0.3, "pause": pause}
        return Executor(fly, draft, safety, self.said.append, **(usual | more))

    def sim_pause(self, seconds: float) -> None:
        """A pause that lets the simulator go on."""
        time.sleep(seconds)

    def apply(self, fuse: Fuse | None = None, draft: Draft | None = None, **more: Any) -> Executor:
        """`atc fleet apply`."""
        work = self.executor(draft, fuse, **more)
        work.run()
        return work

    def existing(self) -> Existing:
        """What there is."""
        return self.executor().look()

    def vault(self) -> Vault:
        """The store."""
        (self.home / "copies").mkdir(exist_ok=True)
        return vault(StorePlan(f"file://{self.home}/copies", "", "", 60, 60, 0), {})

    def lease(self, tenant: str, holder: str, *, held: bool, path: str = "e1", deleted: float | None = None) -> None:
        """What the store says of a tenant."""
        key = f"tenants/{program_name(tenant)}"
        history = (Chapter(path, 1.0, None if held else 2.0),) if path else ()
        lease = Lease(tenant, 1, holder, holder, held, 60, path=path, history=history, nonce="n", deleted=deleted)
        target = self.home / "copies" / key
        target.mkdir(parents=True, exist_ok=True)
        (target / "lease.json").write_text(lease.to_json())

    def shape(self) -> dict[str, list[Any]]:
        """What there is without the names that differ each time, and what atc.yml says of it."""
        found = self.existing()
        names = {each.id: f"{each.user or each.shared_by} in {each.region}" for each in found.machines}
        machines = sorted(
            [names[each.id], str(each.guest), each.image, each.state, each.digest != ""] for each in found.machines
        )
        volumes = sorted([each.region, each.size_gb, names.get(each.machine, "nobody's")] for each in found.volumes)
        config = compiled(self.file.read_text()).config
        users = sorted([user, names.get(each.instance or "", "-")] for user, each in config.users.items())
        return json.loads(json.dumps({"machines": machines, "volumes": volumes, "users": users}))  # type: ignore[no-any-return]


@contextmanager
def simulation(**more: Any) -> Iterator[Running]:
    """The simulator, with one app."""
    usual: dict[str, Any] = {"unknowns": CALM, "tempo": QUICK, "images": IMAGES, "seed": 1}
    with running(FleetSpec(apps=(AppSpec(name="shows"),), **(usual | more))) as sim:
        yield sim


def world(sim: Running, home: Path, app: str = "shows") -> World:
    """An app of the simulator, made if it is not there."""
    home.mkdir(exist_ok=True)
    if app not in sim.do(lambda fleet: set(fleet.registry.apps)):
        sim.do(lambda fleet: fleet.registry.add_app(App(app)))
    return World(sim, app, home)
