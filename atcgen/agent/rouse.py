"""Wakes other machines for requests that Fly Proxy cannot replay: the private network wakes nobody."""

from __future__ import annotations

import asyncio
import logging

from atcgen.agent.tasks import Tasks
from atcgen.compiler.fleet_plan import FleetPlan

log = logging.getLogger("atc.agent")

_STEERING = {"instance": "fly-force-instance-id", "region": "fly-force-region"}
_PATIENCE = 30.0  # of one question; a machine that has to boot takes a while
_STOPPING = 8.0  # how long one that is stopping may take: it is refused until it can be started again
_PAUSE = 0.5


class Rouser:
    """Has machines awake, each asked once however many requests wait for it."""

    def __init__(self, fleet: FleetPlan, health: str, tasks: Tasks) -> None:
        self._fleet, self._health, self._tasks = fleet, health or "/", tasks
        self._asking: dict[str, asyncio.Task[bool]] = {}

    async def rouse(self, target: str) -> bool:
        """Is the machine of a target (`instance=…`, `region=…`) awake? Another app is not ours to wake."""
        key, _, name = target.partition("=")
        if key not in _STEERING:
            return True
        asking = self._asking.get(target)
        if asking is None:
            asking = self._asking[target] = self._tasks.start(self._ask(target, {_STEERING[key]: name}))
            asking.add_done_callback(lambda _: self._asking.pop(target))
        return await asyncio.shield(asking)  # whoever gives up leaves the others waiting

    async def _ask(self, target: str, headers: dict[str, str]) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + _STOPPING
        while problem := await self._problem(headers):
            if loop.time() >= until:
                log.warning("rouse.failed target=%s reason=%r", target, problem)
                return False
            await asyncio.sleep(_PAUSE)
        return True

    async def _problem(self, headers: dict[str, str]) -> str:
        """Why the machine does not answer; '' when it does."""
        return await asyncio.to_thread(self._get, headers)

    def _get(self, headers: dict[str, str]) -> str:
        import requests  # noqa: PLC0415 - few agents ask anybody, and it is large

        try:
            said = requests.get(
                self._fleet.address + self._health, headers=headers, timeout=_PATIENCE, allow_redirects=False
            )
        except requests.RequestException as problem:
            return str(problem) or type(problem).__name__
        return f"status {said.status_code}" if said.status_code >= 500 else ""
