"""From a wish to a machine that accepted a connection: it is chosen, woken, waited for, and connected to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import h11

from simulator.faults import StartFailed
from simulator.lifecycle import ASLEEP, Refused, State
from simulator.machine import Machine
from simulator.registry import Registry
from simulator.routing import Candidate, Wish, ports_mismatch, rank
from simulator.setting import Setting
from simulator.wire import Wire

_LOOK_AGAIN = 0.02


class NoLanding(Exception):
    """No machine took a request; `reason` is that of `fly-replay-failed`."""

    def __init__(self, reason: str, code: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code


class Passed(Exception):
    """This machine does not take the request; another one may."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(eq=False)
class Landing:
    """A connection to a machine, which counts as load until it is released."""

    machine: Machine
    wire: Wire
    missed: str = ""  # the instance that was preferred

    def release(self) -> None:
        """Close it."""
        self.machine.load -= 1
        self.wire.close()

    def cut(self) -> None:
        """The machine left."""
        self.wire.abort()

    def go_away(self) -> None:
        """Only WebSocket clients are told."""


class Landings:
    """How one edge finds machines."""

    def __init__(self, registry: Registry, setting: Setting, lag: float) -> None:
        self._registry = registry
        self._setting = setting
        self._lag = lag

    def view(self) -> list[Candidate]:
        """The machines as this edge believes them to be."""
        moment = self._setting.clock() - self._setting.unknowns.stale_view - self._lag
        return [self._candidate(each, each.history.at(moment)) for each in self._registry.machines.values()]

    def _candidate(self, machine: Machine, state: State) -> Candidate:
        services = machine.config.services
        first = services[0] if services else None
        ports = frozenset(each.port for service in services for each in service.ports)
        unset = self._setting.unknowns.autostart_unset
        return Candidate(
            id=machine.id,
            app=machine.identity.app,
            region=machine.identity.region,
            state=state,
            ports=ports,
            autostart=any(unset if each.autostart is None else each.autostart for each in services),
            healthy=machine.healthy,
            cordoned=machine.cordoned,
            load=machine.load,
            soft=first.concurrency.soft_limit if first else 20,
            hard=first.concurrency.hard_limit if first else None,
        )

    async def find(self, wish: Wish) -> Landing:
        """A connection to the best machine; `NoLanding` when none takes the request."""
        until = self._setting.clock() + self._setting.tempo.missing_target
        excluded = wish.excluded
        last: Passed | None = None
        while True:
            view = self.view()
            ranked = rank(view, replace(wish, excluded=excluded))
            if ranked:
                try:
                    return await self._land(ranked, wish)
                except Passed as problem:
                    self._setting.log.note(problem.code, wish.app, str(problem), ranked[0].id)
                    last = problem
                    excluded |= {ranked[0].id}
            elif last:
                raise NoLanding("retries_exhausted", "PR03", f"no machine took the request: {last}")
            elif self._setting.clock() >= until:
                what = f"no service at port {wish.port}" if ports_mismatch(view, wish) else "no candidate"
                raise NoLanding("no_candidate", "PR04", what)
            else:
                await asyncio.sleep(_LOOK_AGAIN)

    async def _land(self, ranked: list[Candidate], wish: Wish) -> Landing:
        believed = ranked[0]
        machine = self._registry.machines[believed.id]
        slept = machine.history.slept_within(self._setting.tempo.recently_stopped)
        if believed.state not in ASLEEP and machine.state in ASLEEP and len(ranked) > 1 and slept:
            raise Passed("PM11", "machine recently stopped")
        await self._wake(machine, autostart=believed.autostart)
        await self._queue(machine, believed.hard)
        machine.load += 1
        try:
            wire = await self._connect(machine, wish.port, autostart=believed.autostart)
        except BaseException:
            machine.load -= 1
            raise
        missed = wish.prefer_instance if wish.prefer_instance != machine.id else ""
        return Landing(machine, wire, missed)

    async def _wake(self, machine: Machine, *, autostart: bool) -> None:
        if machine.state is State.STARTED:
            return
        if machine.state is State.STOPPING and self._setting.unknowns.stopping_is_retried:
            await machine.wait(State.STOPPED, State.DESTROYED)
        if not autostart and machine.state is not State.STARTING:
            raise Passed("PM07", "autostart is off")
        try:
            await machine.start("proxy")
        except Refused as problem:
            raise Passed("PM08", str(problem)) from None
        except StartFailed as problem:
            raise Passed(problem.code, str(problem)) from None

    async def _queue(self, machine: Machine, hard: int | None) -> None:
        until = self._setting.clock() + self._setting.tempo.queue
        while hard is not None and machine.load >= hard:
            if self._setting.clock() >= until:
                raise Passed("PL02", "at its hard limit")
            await asyncio.sleep(_LOOK_AGAIN)

    async def _connect(self, machine: Machine, port: int, *, autostart: bool) -> Wire:
        tempo = self._setting.tempo
        pause = tempo.connect_window / tempo.connect_tries
        service = machine.config.service(port)
        if not service:
            raise Passed("PC01", f"no service at port {port}")
        for _ in range(tempo.connect_tries):
            if machine.state is not State.STARTED:
                await self._wake(machine, autostart=autostart)
            if not machine.injected.refuses:
                try:
                    reader, writer = await asyncio.open_connection(machine.identity.address, service.internal_port)
                    return Wire(h11.CLIENT, reader, writer)
                except OSError:
                    pass
            await asyncio.sleep(pause)
        raise Passed("PC07", f"refused at port {service.internal_port}")
