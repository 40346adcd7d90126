"""`python -m simulator FILE`: run the fleet that a file describes, until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from pydantic import ValidationError

from simulator.description import FleetSpec, read_fleet
from simulator.fleet import Fleet
from simulator.lifecycle import State

_LOOK = 0.2  # seconds


def main() -> int:
    """Run; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("file", type=Path)
    try:
        spec = read_fleet(parser.parse_args().file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as problem:
        parser.error(str(problem))
    asyncio.run(_serve(spec))
    return 0


async def _serve(spec: FleetSpec) -> None:
    ended = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    async with Fleet(spec) as fleet:
        for line in described(fleet):
            print(line, flush=True)
        telling = asyncio.ensure_future(_tell(fleet))
        await ended.wait()
        running = [each.id for each in fleet.registry.machines.values() if each.state is State.STARTED]
        await asyncio.gather(*(fleet.stop(each) for each in running))
        telling.cancel()


async def _tell(fleet: Fleet) -> None:
    """Print what machines do, and which request came to which of them."""
    states: dict[str, str] = {}
    told: set[str] = set()
    while True:
        for each in fleet.registry.machines.values():
            if states.get(each.id, "stopped") != each.state:
                print(f"{each.identity.region} {each.id}  {each.state}", flush=True)
            states[each.id] = each.state
        for delivery in fleet.deliveries:
            if delivery.request_id not in told:
                told.add(delivery.request_id)
                way = " > ".join((delivery.edge, *(hop.machine for hop in delivery.hops)))
                print(f"{delivery.method} {delivery.target}  {delivery.status}  {way}", flush=True)
        await asyncio.sleep(_LOOK)


def described(fleet: Fleet) -> list[str]:
    """Where everything is."""
    lines = [
        f"edge {each.region} port {port}  {each.url_at(port)}" for each in fleet.edges for port in sorted(each.ports)
    ]
    lines.append(f"api  {fleet.flaps.url}  token {fleet.flaps.token!r}")
    lines += [f"service {each.spec.name}  http://{each.address}  log {each.log}" for each in fleet.services]
    for (network, region), address in sorted(fleet.resolvers.all().items()):
        lines.append(f"dns {network} {region}  {address}")
    for each in fleet.registry.machines.values():
        identity = each.identity
        lines.append(f"machine {each.id}  {identity.app} {identity.region} {identity.address}  log {each.log}")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
