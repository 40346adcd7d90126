"""A user with two tenants moves from machine to machine of a simulated Fly.io, while clients write and read at both
edges: real machines, a real store, and `atc user move` as people type it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, pairwise
from pathlib import Path
from types import TracebackType
from typing import Any

import h11
import yaml

from simulator.description import AppSpec, EdgeSpec, FleetSpec, ServiceSpec
from simulator.registry import is_gone
from simulator.running import Running, running
from tests.compiler.real_nginx import require_nginx
from tests.fleet.machines import CALM, QUICK, ROOT
from tests.replica.servers import BIN, CREDENTIALS
from tests.simulator.fleets import PORT, ask
from tests.system.machines import LEDGER
from tests.system.running import wait_until

USER, OTHER = "bellevue", "raleigh"
TENANTS = (f"{USER}/2025/winter", f"{USER}/2025/summer")
EDGES = ("iad", "ams")
S3 = ServiceSpec(
    name="store",
    command=(str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", "{port}"),
    requests=("PUT /copies",),
)
_SECRETS = {**CREDENTIALS, "FLEET_SECRET": "of these machines", "PYTHONPATH": str(ROOT)}
_ATC = f"""\
server: {{http_port: {PORT}, hold: 20s, kill_timeout: 10s}}
app:
  root: {LEDGER.parent}
  start: {sys.executable} ledger.py ${{socket}}
  env: {{DATABASE: '${{database}}', OWNER: '${{tenant.id}}', MACHINE: '${{ENV:FLY_MACHINE_ID}}'}}
storage: {{volume: ./tenants, replica: 'REPLICA', lease: 10s}}
backup: {{sync: 100ms}}
fleet:
  app: shows
  address: ADDRESS
  secret: ${{ENV:FLEET_SECRET}}
  machine: {{image: 'shows:1'}}
  replay: {{timeout: 20s, fallback: true}}
users:
  raleigh: {{region: iad, machine: {{}}, tenants: {{2025/disney: {{}}}}}}
  bellevue: {{region: iad, machine: {{}}, tenants: {{2025/winter: {{}}, 2025/summer: {{}}}}}}
"""


@dataclass
class World:
    """The fleet, and the desk from which it is run."""

    sim: Running
    home: Path
    environ: dict[str, str]
    said: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        """The atc.yml of whoever types commands."""
        return self.home / "atc.yml"

    def atc(self, *words: str, kill_at: str = "", after: float = 0) -> int:
        """A command; its exit status. `kill_at`: SIGKILL so many seconds after it printed a line with these words."""
        whole = [sys.executable, "-u", "-m", "atcgen", *words]
        self.said.append(f"$ atc {' '.join(words)}")
        with subprocess.Popen(
            whole, cwd=self.home, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            assert process.stdout
            for line in process.stdout:
                self.said.append(f"{time.monotonic():.2f} {line.rstrip()}")
                if kill_at and kill_at in line:
                    time.sleep(after)
                    process.kill()
                    self.said.append(f"{time.monotonic():.2f} killed")
                    kill_at = ""
        return process.returncode

    def apply(self, *words: str, grace: float = 1, **more: Any) -> int:
        """One that makes and destroys machines."""
        return self.atc(*words, "--yes", "--grace", str(grace), "--wait", "60", **more)

    def machines(self) -> dict[str, tuple[str, str]]:
        """The user and the region of each machine that exists."""
        found = self.sim.do(lambda fleet: [e for e in fleet.registry.machines.values() if not is_gone(e)])
        return {each.id: (each.metadata.get("atc_user", ""), each.identity.region) for each in found}

    def machine_of(self, user: str) -> str:
        """The one that atc.yml names."""
        return str(yaml.safe_load(self.file.read_text())["users"][user]["instance"])

    def region_of(self, user: str) -> str:
        """Where atc.yml says that they are."""
        return str(yaml.safe_load(self.file.read_text())["users"][user]["region"])

    def volumes(self) -> list[Path]:
        """The disks that exist."""
        return self.sim.do(lambda fleet: [each.directory for each in fleet.registry.volumes.values()])

    def rows(self, tenant: str, edge: str = "iad") -> dict[str, Any]:
        """What a tenant has; waits until it answers."""
        said: dict[str, Any] = {}

        def answers() -> bool:
            with suppress(OSError, h11.RemoteProtocolError):
                answer = ask(self.sim.edge(edge), f"/{tenant}/rows", timeout=60)
                if answer.status == 200:
                    said.update(json.loads(answer.body), who=answer.headers["x-who"])
            return bool(said)

        wait_until(answers, 60)
        return said


    def wait_until_at_home(self, tenant: str) -> None:
        """Before atc.yml names machines, each of a region has whoever names that region."""
        home = self.machine_of(tenant.partition("/")[0])
        for edge in EDGES:
            wait_until(lambda edge=edge: self.rows(tenant, edge)["who"].endswith(f" {home}"), 60)  # type: ignore[misc]


@contextmanager
def moving_world(home: Path, *, s3: bool = False) -> Iterator[World]:
    """A machine for each of two users, both in one region, made by `atc fleet apply`."""
    require_nginx()
    store = "s3://copies/tenants" if s3 else f"file://{home}/store"
    (home / "store").mkdir()
    seed = home / "image.yml"
    own = "{volume}/atc.yml"
    run = f"test -e {own} || cp {seed} {own}; exec {sys.executable} -m atcgen run -c {own} --state {{volume}}/atc"
    image = ("/usr/bin/env", "ATC_BIND={address}", "/bin/sh", "-c", run)
    secrets = _SECRETS | ({"AWS_ENDPOINT_URL_S3": "http://{service:store}"} if s3 else {})
    spec = FleetSpec(
        apps=(AppSpec(name="shows", secrets=secrets),),
        edges=tuple(EdgeSpec(region=each) for each in EDGES),
        images={"shows:1": image},
        services=(S3,) if s3 else (),
        default_app="shows",
        unknowns=CALM,
        tempo=QUICK,
        seed=1,
    )
    with running(spec) as sim:
        desk = {**_environ(), **_SECRETS, "FLY_API_TOKEN": sim.token, "FLY_FLAPS_BASE_URL": sim.api}
        if s3:
            desk["AWS_ENDPOINT_URL_S3"] = f"http://{sim.fleet.services[0].address}"
        made = World(sim, home, desk)
        address = f"http://127.0.0.1:{sim.edge('iad').ports[443]}"
        made.file.write_text(_ATC.replace("REPLICA", store).replace("ADDRESS", address))
        seed.write_text(made.file.read_text())
        try:
            assert made.apply("fleet", "apply") == 0, made.said
            for tenant in (*TENANTS, f"{OTHER}/2025/disney"):
                made.wait_until_at_home(tenant)
            yield made
        except BaseException:
            print(*made.said, *sim.errors[-40:], sep="\n")
            for each in sim.fleet.registry.machines.values():
                print(each, each.log.read_text() if each.log.exists() else "")
            raise


def _environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLY_", "ATC_"))}


@dataclass(frozen=True)
class Seen:
    """A request and what a client saw; status 0 is a connection that ended without an answer."""

    tenant: str
    edge: str
    row: int  # which was posted; 0 for a GET
    began: float
    ended: float
    status: int
    who: str = ""
    rows: frozenset[int] = frozenset()
    said: str = ""  # when it was no answer of a tenant


class Clients:
    """One for each tenant at each edge, which writes a row, then reads all, again and again."""

    def __init__(self, world: World, pause: float = 0.02) -> None:
        self.seen: list[Seen] = []
        self._world, self._pause = world, pause
        self._numbers = count(1)
        self._over = threading.Event()
        places = [(tenant, edge) for tenant in (*TENANTS, f"{OTHER}/2025/disney") for edge in EDGES]
        self._threads = [threading.Thread(target=self._go_on, args=each) for each in places]

    def __enter__(self) -> Clients:
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for each in self._threads:
            each.join()

    def wait_for(self, more: int = 5, within: float = 60) -> None:
        """Until each tenant acknowledged so many more rows at each edge."""
        before = len(self.seen)

        def enough() -> bool:
            new = [(each.tenant, each.edge) for each in self.seen[before:] if each.row and each.status == 200]
            return all(new.count((tenant, edge)) >= more for tenant in TENANTS for edge in EDGES)

        wait_until(enough, within)

    def wait_until(self, seen: Callable[[Seen], bool], within: float = 60) -> None:
        """Until each tenant was answered like that for a row."""

        def everywhere() -> bool:
            found = {each.tenant for each in list(self.seen) if each.row and each.status == 200 and seen(each)}
            return found >= set(TENANTS)

        wait_until(everywhere, within)

    def _go_on(self, tenant: str, edge: str) -> None:
        while not self._over.is_set():
            for row in (next(self._numbers), 0):
                self.seen.append(self._ask(tenant, edge, row))
                self._over.wait(self._pause)

    def _ask(self, tenant: str, edge: str, row: int) -> Seen:
        began, status, who, said, rows = time.monotonic(), 0, "", "", frozenset[int]()
        path, method = (f"/{tenant}/add?id={row}", "POST") if row else (f"/{tenant}/rows", "GET")
        with suppress(OSError, h11.RemoteProtocolError):
            answer = ask(self._world.sim.edge(edge), path, method=method, timeout=60)
            status, who = answer.status, answer.headers.get("x-who", "")
            if status != 200:
                said = answer.body.decode(errors="replace")[:200]
            elif not row:
                rows = frozenset(json.loads(answer.body)["rows"])
        return Seen(tenant, edge, row, began, time.monotonic(), status, who, rows, said)


@dataclass(frozen=True)
class Verdict:
    """What was wrong, and for how long each tenant took no row."""

    lost: list[int]  # acknowledged, and not there afterwards
    invented: list[int]  # there, and never posted
    strangers: list[Seen]  # answers of another tenant, or of a machine that was never its own
    stale: list[Seen]  # answers without a row that had been acknowledged before they were asked for
    back: list[Seen]  # answers of a machine after the next one had answered
    gaps: dict[str, float]  # seconds, by tenant
    refused: dict[int, int]  # how many requests, by status
    acknowledged: int

    @property
    def is_clean(self) -> bool:
        """Was nothing lost, and did nobody see anything wrong?"""
        return not (self.lost or self.invented or self.strangers or self.stale or self.back)


def judged(world: World, seen: list[Seen], homes: dict[str, list[str]]) -> Verdict:
    """`homes` are the machines of each user in the order in which they were."""
    lost, invented, strangers, stale, back, gaps = [], [], [], [], [], {}
    for tenant in sorted({each.tenant for each in seen}):
        mine = [each for each in seen if each.tenant == tenant]
        order = homes[tenant.partition("/")[0]]
        good = sorted((each for each in mine if each.status == 200), key=lambda each: each.began)
        known = {each.row: each.ended for each in good if each.row}
        there = set(world.rows(tenant)["rows"])
        lost += sorted(known.keys() - there)
        invented += sorted(there - {each.row for each in mine})
        strangers += [e for e in good if e.who not in {f"{tenant} {machine}" for machine in order}]
        reads = [each for each in good if not each.row]
        stale += [e for e in reads if any(ended < e.began and row not in e.rows for row, ended in known.items())]
        back += list(_back(good, order))
        times = sorted(known.values())
        gaps[tenant] = max((b - a for a, b in pairwise(times)), default=0.0)
    bad = [each.status for each in seen if each.status != 200]
    refused = {status: bad.count(status) for status in sorted(set(bad))}
    acknowledged = sum(1 for each in seen if each.row and each.status == 200)
    return Verdict(lost, invented, strangers, stale, back, gaps, refused, acknowledged)


def _back(good: list[Seen], order: list[str]) -> Iterator[Seen]:
    """Answers of an earlier machine to requests that began after a later one had answered, where none comes twice."""
    if len(set(order)) < len(order):
        return
    firsts = [0.0, *(_first(good, machine) for machine in order[1:])]
    for each in good:
        machine = each.who.split()[-1]
        if machine in order:
            number = order.index(machine)
            if any(each.began > later for later in firsts[number + 1 :]):
                yield each


def _first(good: list[Seen], machine: str) -> float:
    """When a machine answered first."""
    return min((each.ended for each in good if each.who.endswith(f" {machine}")), default=float("inf"))
