"""The agent's socket: what nginx asks while a request waits."""

from __future__ import annotations

from dataclasses import dataclass

from atcgen.agent.apply import Applier
from atcgen.agent.control import METRICS, metrics
from atcgen.agent.converge import Converger
from atcgen.agent.http import Answer, Request
from atcgen.agent.machine_keeper import MachineKeeper
from atcgen.agent.rouse import Rouser
from atcgen.agent.service import Service

WAKE = "/_atc/wake"  # any other question is only whether the machine may answer


@dataclass(frozen=True)
class Door:
    """Answers 204 to let a request go on, 403 to refuse it, with the verdict in headers."""

    service: Service
    applier: Applier
    converger: Converger
    rouser: Rouser
    machine: MachineKeeper

    async def answer(self, request: Request) -> Answer:
        """One question."""
        if request.target == METRICS:
            return metrics(self.service, self.applier)
        if request.target == "/_atc/told":
            return self.converger.told(request)
        if request.target == "/_atc/look":
            await self.converger.looked_again()
            return Answer(204)
        target = request.headers.get("x-atc-rouse")
        if target is not None:
            return Answer(204 if await self.rouser.rouse(target) else 403)
        passed = await self.machine.pass_gate()
        if passed == "starting" or (passed == "again" and request.target == WAKE):
            return Answer(403, {"X-Atc-Verdict": passed, "X-Atc-Retry-After": "2"})
        return await self._wake(request.headers.get("x-atc-tenant", "")) if request.target == WAKE else Answer(204)

    async def _wake(self, program: str) -> Answer:
        verdict = await self.service.admit(program)
        if verdict.word == "ready":
            return Answer(204)
        retry = str(max(1, round(verdict.retry)))
        return Answer(403, {"X-Atc-Verdict": verdict.word, "X-Atc-Retry-After": retry, "X-Atc-Stage": verdict.stage})
