"""What a test does to a fleet: it moves machines from state to state, and makes things fail."""

from __future__ import annotations

from simulator.edge import Edge
from simulator.events import Delivery, Error
from simulator.lifecycle import State
from simulator.machine import Machine
from simulator.registry import Registry
from simulator.setting import Setting


class Controls:
    """The hands of a test; `Fleet` has them."""

    registry: Registry
    setting: Setting
    edges: list[Edge]

    def edge(self, region: str) -> Edge:
        """The edge of a region."""
        return next(each for each in self.edges if each.region == region)

    def machine(self, name: str) -> Machine:
        """A machine by its id."""
        return self.registry.machines[name]

    @property
    def deliveries(self) -> list[Delivery]:
        """Every request that was answered, in order."""
        return self.setting.log.deliveries

    @property
    def errors(self) -> list[Error]:
        """Every error in the log of an app, in order."""
        return list(self.setting.log.errors)

    def codes(self, app: str = "") -> list[str]:
        """Their codes, of all apps or of one."""
        return self.setting.log.codes(app)

    async def start(self, name: str) -> None:
        """Start or resume, as the API does, and wait until it is done."""
        await self.machine(name).start("user")

    async def suspend(self, name: str) -> None:
        """Suspend and wait until it is done."""
        self.machine(name).suspend("user")
        await self.machine(name).wait(State.SUSPENDED)

    async def stop(self, name: str, signal: str = "", grace: float | None = None) -> None:
        """Stop and wait until it is done."""
        self.machine(name).stop("user", signal, grace)
        await self.machine(name).wait(State.STOPPED)

    async def crash(self, name: str) -> None:
        """Lose a machine at once, with its memory."""
        await self.machine(name).crash()

    async def destroy(self, name: str) -> None:
        """End a machine for good."""
        await self.machine(name).destroy("user")

    def fail_starts(self, name: str, times: int = 1, code: str = "PM02") -> None:
        """Let the next starts fail."""
        self.machine(name).injected.failing_starts = times
        self.machine(name).injected.failing_code = code

    def slow_starts(self, name: str, seconds: float) -> None:
        """Let every start take so much longer."""
        self.machine(name).injected.extra_boot = seconds

    def turn_cold(self, name: str, times: int = 1) -> None:
        """Let the next resumes be cold starts."""
        self.machine(name).injected.cold_resumes = times

    def refuse(self, name: str, refuses: bool = True) -> None:
        """Let the proxy find nobody at the port of a machine that runs."""
        self.machine(name).injected.refuses = refuses

    def drop_caches(self) -> None:
        """Let every edge forget what it remembers."""
        for each in self.edges:
            each.caches.clear()
