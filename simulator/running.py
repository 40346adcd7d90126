"""A simulation for tests that are not asynchronous: it runs in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from simulator.api.calls import Injection
from simulator.description import FleetSpec
from simulator.edge import Edge
from simulator.events import Delivery, Error
from simulator.fleet import Fleet
from simulator.lifecycle import State
from simulator.machine import Machine

T = TypeVar("T")


class Running:
    """A fleet that runs elsewhere; every method waits until it is done."""

    def __init__(self, fleet: Fleet, loop: asyncio.AbstractEventLoop) -> None:
        self.fleet = fleet
        self._loop = loop

    def wait_for(self, work: Coroutine[Any, Any, T], seconds: float = 60) -> T:
        """The result of something that the fleet does."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def do(self, change: Callable[[Fleet], T]) -> T:
        """The result of something that the fleet does at once."""

        async def work() -> T:
            return change(self.fleet)

        return self.wait_for(work())

    def edge(self, region: str) -> Edge:
        """The edge of a region."""
        return self.fleet.edge(region)

    def machine(self, name: str) -> Machine:
        """A machine, to be read."""
        return self.fleet.machine(name)

    @property
    def deliveries(self) -> list[Delivery]:
        """Every request that was answered, in order."""
        return self.fleet.deliveries

    @property
    def errors(self) -> list[Error]:
        """Every error in the log of an app, in order."""
        return self.fleet.errors

    def codes(self, app: str = "") -> list[str]:
        """Their codes, of all apps or of one."""
        return self.fleet.codes(app)

    @property
    def api(self) -> str:
        """Where the Machines API is, without `/v1`."""
        return self.fleet.flaps.url

    @property
    def token(self) -> str:
        """The token of the organization."""
        return self.fleet.flaps.token

    def resolver(self, network: str = "default", region: str = "iad") -> tuple[str, int]:
        """The DNS server of a network, as somebody in a region asks it."""
        host, _, port = self.wait_for(self.fleet.resolvers.address(network, region)).partition(":")
        return host, int(port)

    def start(self, name: str) -> None:
        """Start or resume a machine."""
        self.wait_for(self.fleet.start(name))

    def suspend(self, name: str) -> None:
        """Suspend a machine."""
        self.wait_for(self.fleet.suspend(name))

    def stop(self, name: str, signal: str = "", grace: float | None = None) -> None:
        """Stop a machine."""
        self.wait_for(self.fleet.stop(name, signal, grace))

    def crash(self, name: str) -> None:
        """Lose a machine at once."""
        self.wait_for(self.fleet.crash(name))

    def destroy(self, name: str) -> None:
        """End a machine for good."""
        self.wait_for(self.fleet.destroy(name))

    def migrate(self, name: str) -> None:
        """Move a machine to another host."""
        self.wait_for(self.fleet.migrate(name))

    def wait_state(self, name: str, state: str, seconds: float = 30) -> None:
        """Until a machine is in a state; `TimeoutError` after a while."""
        self.wait_for(self.machine(name).wait(State(state)), seconds)

    def autostop_pass(self) -> list[str]:
        """One pass of the loop that stops what nobody uses; the machines it stopped."""
        return self.wait_for(self.fleet.autostop.run_pass())

    def inject(self, injection: Injection) -> None:
        """Let a call of the Machines API fail."""
        self.do(lambda fleet: fleet.flaps.inject(injection))


@contextmanager
def running(spec: FleetSpec) -> Iterator[Running]:
    """Run a fleet until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator")
    thread.start()

    async def opened() -> Fleet:
        return await Fleet(spec).__aenter__()

    try:
        fleet = asyncio.run_coroutine_threadsafe(opened(), loop).result(60)
        try:
            yield Running(fleet, loop)
        finally:
            asyncio.run_coroutine_threadsafe(fleet.close(), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
