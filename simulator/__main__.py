"""`python -m simulator FILE`: run the fleet that a file describes, until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path

from pydantic import ValidationError

from simulator.description import FleetSpec, read_fleet
from simulator.fleet import Fleet


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
        await ended.wait()


def described(fleet: Fleet) -> list[str]:
    """Where everything is."""
    lines = [
        f"edge {each.region} port {port}  {each.url_at(port)}" for each in fleet.edges for port in sorted(each.ports)
    ]
    lines.append(f"api  {fleet.flaps.url}  token {fleet.flaps.token!r}")
    for (network, region), address in sorted(fleet.resolvers.all().items()):
        lines.append(f"dns {network} {region}  {address}")
    for each in fleet.registry.machines.values():
        identity = each.identity
        lines.append(f"machine {each.id}  {identity.app} {identity.region} {identity.address}  log {each.log}")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
