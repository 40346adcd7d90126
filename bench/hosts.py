"""The same as `fleet` without Fly.io: hosts that pass requests on to each other, `fleet.target: proxy`.

First each URL is asked for at each host, then come requests by lot at any of them. After every forty or so something
happens to a host: it is stopped and started again, all its processes are killed at once and it is started again, or
they stand still for a while (SIGSTOP). Nothing wakes it but that. ATC_BENCH_REQUESTS, ATC_BENCH_SEED and ATC_SHOWCASES
are heeded as by `fleet`.

A failure is explained when the host where it arrived, or that of its tenant, was away meanwhile, or had been within six
seconds before: for five of that others leave it alone.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from bench.asking import Move, Unrest, by_lot, everything, send_all
from bench.figures import Figure
from bench.fleet import REQUESTS, SEED, figures, findings
from bench.running import scratch
from bench.showcases import TEMPO, World, document, names_of_machines
from bench.waiting import wait_until
from simulator.description import AppSpec, FleetSpec
from simulator.running import running
from simulator.unknowns import Unknowns
from tests.fleet.machines import Entrance, atc, replace_start
from tests.showcases import of_december, tenant_ids
from tests.simulator.fleets import PORT, Door, ask

_CONFIG = {"stop_config": {"signal": "SIGTERM", "timeout": "40s"}, "restart": {"policy": "no"}}
_CALM = replace(Unknowns().calm(), resume_breaks_sockets=False)
_LEFT_ALONE = 6.0
_STANDSTILLS = (0.05, 8.0)  # seconds


def run() -> Iterator[Figure]:
    """The figures."""
    with hosts(SEED) as made:
        rng, urls = random.Random(SEED), everything(made)
        calm = findings(made, urls, send_all(made, urls), [])
        what = f"{len(made.owners)} tenants on {len(made.machines)} hosts, at each of them"
        yield Figure("hosts", "each URL, not answered", len(calm.failed), "of them", 0, what)
        yield Figure("hosts", "each URL, wrong tenant or host", len(calm.wrong_places), "of them", 0)
        began, requests = time.monotonic(), by_lot(made, REQUESTS, len(urls), rng)
        with Outages(made, rng, every=40) as outages:
            outcomes = send_all(made, requests, outages.request_done, sigh=1.0)
        seconds, counted = time.monotonic() - began, Counter(each.kind for each in outages.moves)
        found = findings(made, requests, outcomes, outages.moves, afterwards=_LEFT_ALONE)
        moves = ", ".join(f"{count} x {kind}" for kind, count in sorted(counted.items()))
        yield from figures("by lot", found, f"{len(requests):,} requests in {seconds:.0f} s; {moves}", "hosts")


class Outages(Unrest):
    """Something happens to one host at a time, and is over before the next."""

    def move(self, machine: str, rng: random.Random) -> None:
        """Stopped, killed or standing still; then it answers again."""
        kind, began, fly = rng.choice(("stop", "kill", "standstill")), time.monotonic(), self.world.fly
        if kind == "standstill":
            fly.suspend(machine)
            time.sleep(rng.uniform(*_STANDSTILLS))
        elif kind == "stop":
            fly.stop(machine)
        else:
            fly.crash(machine)
        fly.start(machine)
        _await(self.world, machine)
        self.moves.append(Move(machine, kind, began, time.monotonic()))


@contextmanager
def hosts(seed: int) -> Iterator[World]:
    """A host for each region; all run, and no tenant is awake."""
    users = of_december()
    names = names_of_machines(users)
    with scratch() as home:
        file = home / "atc.yml"
        specs = (replace_start(atc(name, region, file, config=_CONFIG)) for region, name in names.items())
        apps = (AppSpec(name="shows", public=False),)
        spec = FleetSpec(apps=apps, machines=tuple(specs), edges=(), unknowns=_CALM, tempo=TEMPO, seed=seed)
        with running(spec) as fly:
            addresses = {name: fly.machine(name).identity.address for name in names.values()}
            said = {region: f"http://{addresses[name]}:{PORT}" for region, name in names.items()}
            file.write_text(document(users, {"target": "proxy", "hosts": said}, kill_timeout="30s"), encoding="utf-8")
            doors: dict[str, Door] = {name: Entrance(address) for name, address in addresses.items()}
            owners = {each: names[users[each.partition("/")[0]]["region"]] for each in tenant_ids(users)}
            made = World(fly, owners, doors)
            for name in doors:
                fly.start(name)
            for name in doors:
                _await(made, name)
            yield made


def _await(world: World, name: str) -> None:
    """Until a host answers."""

    def answers() -> bool:
        try:
            return ask(world.doors[name], "/up", timeout=5).status == 200
        except OSError:
            return False

    wait_until(answers, f"an answer of {name}", 120)
