"""Which hooks run at an event, and with what around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from atcgen.compiler.interpolate import ROOT_MARK, SOCKET_MARK
from atcgen.compiler.plan import HookPlan, Plan, TenantPlan
from atcgen.compiler.render import CREDENTIALS
from atcgen.system.hooks import Surroundings, inherited, run_hooks

log = logging.getLogger("atc.agent")


class Hooks:
    """Those of one machine and of its tenants."""

    def __init__(self, plan: Plan, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._plan = plan
        self._turns = asyncio.Semaphore(plan.hooks_at_once)
        self.running = 0  # how many tenants have some that run

    def take(self, plan: Plan) -> None:
        """Work by a new plan from now on."""
        if plan.hooks_at_once != self._plan.hooks_at_once:
            self._turns = asyncio.Semaphore(plan.hooks_at_once)
        self._plan = plan

    async def server(self, event: str) -> str:
        """Run those of the machine; why one failed, '' when none did."""
        environ = inherited(self._environ) | {"ATC_EVENT": f"server.{event}"}
        around = Surroundings(environ, self._plan.base, self._log("_server", event))
        return await self._run(f"server.{event}", self._plan.hooks, event, around)

    async def tenant(self, plan: TenantPlan, event: str) -> str:
        """Run those of a tenant; why one failed, '' when none did."""
        environ = inherited(self._environ, CREDENTIALS if plan.backup else ())
        environ |= {
            name: value.replace(SOCKET_MARK, plan.link).replace(ROOT_MARK, plan.root) for name, value in plan.env
        }
        environ |= {"ATC_EVENT": f"tenant.{event}", "ATC_TENANT": plan.id, "ATC_DIRECTORY": plan.directory}
        around = Surroundings(environ, plan.root, self._log(plan.program, event), plan.unix_user)
        self.running += 1
        try:
            return await self._run(f"tenant.{event} tenant={plan.id}", plan.hooks, event, around)
        finally:
            self.running -= 1

    def _log(self, whose: str, event: str) -> Path:
        return Path(self._plan.paths.logs, "hooks", f"{whose}.{event}.log")

    async def _run(self, name: str, hooks: tuple[HookPlan, ...], event: str, around: Surroundings) -> str:
        meant = [each for each in hooks if each.event == event]
        if not meant:
            return ""
        problem = await run_hooks(meant, around, self._turns)
        if problem:
            log.error("hook.failed event=%s reason=%r", name, problem)
        else:
            log.info("hook.done event=%s", name)
        return problem
