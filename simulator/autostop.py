"""The loop that stops machines nobody uses: a few decisions, and their execution."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from simulator.config import Service
from simulator.lifecycle import Refused, State
from simulator.machine import Machine
from simulator.registry import Registry
from simulator.setting import Setting


@dataclass(frozen=True)
class Running:
    """A machine that is started, as the loop sees it."""

    id: str
    load: int
    soft: int
    autostop: bool
    least: int = 0  # min_machines_running, where it counts


def unneeded(running: Sequence[Running]) -> str:
    """The machine of one app and region that a pass may stop; '' if all are needed."""
    if not running:
        return ""
    above = sum(each.load > each.soft for each in running)
    excess = len(running) - (above + 1) if len(running) > 1 else int(running[0].load == 0)
    if excess < 1 or len(running) <= max(each.least for each in running):
        return ""
    idlest = min((each for each in running if each.autostop), key=lambda each: (each.load, each.id), default=None)
    return idlest.id if idlest else ""


class Autostop:
    """The loop of all regions."""

    def __init__(self, registry: Registry, setting: Setting) -> None:
        self._registry = registry
        self._setting = setting

    async def run(self) -> None:
        """A pass, and a pause, for ever."""
        while True:
            await asyncio.sleep(self._setting.tempo.autostop_pass)
            await self.run_pass()

    async def run_pass(self) -> list[str]:
        """Stop at most one machine of each app and region; which."""
        groups: dict[tuple[str, str], list[Machine]] = defaultdict(list)
        for each in self._registry.machines.values():
            if each.state is State.STARTED and each.config.services:
                groups[each.identity.app, each.identity.region].append(each)
        chosen = [unneeded([_seen(each) for each in group]) for group in groups.values()]
        machines = [self._registry.machines[each] for each in chosen if each]
        await asyncio.gather(*(self._put_to_sleep(each) for each in machines))
        return [each.id for each in machines]

    async def _put_to_sleep(self, machine: Machine) -> None:
        machine.cordoned = True
        try:
            await asyncio.sleep(self._setting.tempo.soft_cordon)
            for link in list(machine.links):
                link.go_away()
            with suppress(Refused):
                if _autostop(machine.config.services) == "suspend" and machine.config.can_suspend:
                    machine.suspend("proxy")
                else:
                    machine.stop("proxy")
        finally:
            machine.cordoned = False


def _seen(machine: Machine) -> Running:
    services = machine.config.services
    is_primary = machine.identity.extra_env.get("PRIMARY_REGION") == machine.identity.region
    return Running(
        machine.id,
        machine.load,
        services[0].concurrency.soft_limit,
        _autostop(services) != "off",
        max(each.min_machines_running for each in services) if is_primary else 0,
    )


def _autostop(services: Iterable[Service]) -> str:
    return next((each.autostop for each in services if each.autostop != "off"), "off")
