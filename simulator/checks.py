"""Health checks: they ask the internal port directly, and a machine that fails gets no requests."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import h11

from simulator.config import Check
from simulator.lifecycle import State
from simulator.machine import Machine
from simulator.registry import Registry
from simulator.setting import Setting
from simulator.wire import Wire

_LOOK = 0.05
Key = tuple[str, int, int]  # a machine, its how-manieth start, and which of its checks


class Checks:
    """The checks of all machines; they never wake one."""

    def __init__(self, registry: Registry, setting: Setting) -> None:
        self._registry = registry
        self._setting = setting
        self._since: dict[Key, float] = {}
        self._due: dict[Key, float] = {}
        self._said: dict[Key, bool] = {}

    async def run(self) -> None:
        """Ask whoever is due, for ever."""
        while True:
            await asyncio.gather(*(self._machine(each) for each in list(self._registry.machines.values())))
            await asyncio.sleep(_LOOK)

    async def _machine(self, machine: Machine) -> None:
        checks = [(each.internal_port, check) for each in machine.config.services for check in each.checks]
        if machine.state is not State.STARTED or not checks:
            return
        for number, (port, check) in enumerate(checks):
            await self._one((machine.id, machine.starts, number), machine, port, check)
        usual = self._setting.unknowns.unchecked_is_healthy
        if machine.state is State.STARTED:
            said = [self._said.get((machine.id, machine.starts, each), usual) for each in range(len(checks))]
            machine.healthy = all(said)

    async def _one(self, key: Key, machine: Machine, port: int, check: Check) -> None:
        now = self._setting.clock()
        since = self._since.setdefault(key, now)
        if now < self._due.get(key, now):
            return
        passed = await self._ask(machine.identity.address, port, check)
        if passed or now - since >= check.grace_period:
            self._said[key] = passed
        self._due[key] = now + max(check.interval, self._setting.tempo.shortest_check)

    async def _ask(self, host: str, port: int, check: Check) -> bool:
        with suppress(OSError, TimeoutError, h11.RemoteProtocolError):
            async with asyncio.timeout(check.timeout):
                return await _answers(host, port, check)
        return False


async def _answers(host: str, port: int, check: Check) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    wire = Wire(h11.CLIENT, reader, writer)
    try:
        if check.type == "tcp":
            return True
        headers = [("host", f"{host}:{port}"), ("user-agent", "Consul Health Check")]
        await wire.send(h11.Request(method=check.method, target=check.path, headers=headers), h11.EndOfMessage())
        said = await wire.next_event()
        return isinstance(said, h11.Response) and 200 <= said.status_code < 300
    finally:
        wire.close()
