"""From an edit of atc.yml to a running system: compile, test, activate, reload; or keep what runs and say why.

Only what changed is touched: nginx reloads when its text changed, supervisord when a program did, and a tenant
restarts when its own launch script did.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from atcgen.agent import lifecycle as life
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.service import Service
from atcgen.compiler.plan import Plan, load
from atcgen.compiler.render import Files, effective
from atcgen.errors import ApplyError, AtcError
from atcgen.system import nginx
from atcgen.system.generations import Generation, activate, active, prune, read_files

log = logging.getLogger("atc.agent")


class Applier:
    """Applies generations, one at a time."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.problem = ""  # why the file is not what runs
        self._lock = asyncio.Lock()
        self._again = False

    async def apply(self) -> None:
        """Make what atc.yml says now run; edits that come meanwhile are taken together afterwards."""
        if self._lock.locked():
            self._again = True
            return
        async with self._lock:
            while True:
                self._again = False
                try:
                    await self._apply()
                    self.problem = ""
                except AtcError as problem:
                    self.problem = str(problem)
                    log.error("atc.yml was not applied; the generation before it runs on\n%s", problem)
                if not self._again:
                    return

    async def _apply(self) -> None:
        plan = self.service.plan
        state = Path(plan.paths.state)
        if not plan.has_file and not _file_of(plan).exists():
            return
        fresh = await self._compile(plan, state)
        old = active(state)
        if old is None or fresh.digest == old.digest:
            return
        before, after = read_files(old), read_files(fresh)
        new_plan = load(after["plan.json"])
        reloads = before["nginx/version.conf"] != after["nginx/version.conf"]
        if reloads:
            log_file = Path(plan.paths.logs, "nginx.error.log")
            await asyncio.to_thread(nginx.test, fresh.path / "nginx/nginx.conf", log_file)
        activate(state, fresh)
        changed = await self._supervise(before, after)
        self._adopt(new_plan, before, after, changed)
        if reloads:
            await self._reload(state, old, after)
        await self._forget(new_plan)
        await asyncio.to_thread(prune, state)
        log.info("generation.applied digest=%s nginx_reloaded=%s", fresh.digest, reloads)

    async def _compile(self, plan: Plan, state: Path) -> Generation:
        """In a process of its own, so that a long file never holds up a request that wakes a tenant."""
        words = [sys.executable, "-m", "atcgen", "store", "-c", str(_file_of(plan))]
        words += ["--state", str(state), "--called", plan.file]
        words += [f"--region={plan.region}"] if plan.region else []
        words += [f"--instance={plan.instance}"] if plan.instance else []
        words += ["--", *plan.command]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
        said, complaints = await child.communicate()
        if child.returncode:
            raise ApplyError(complaints.decode(errors="replace").strip())
        name = said.decode().strip()
        return Generation(name, state / "generations" / name)

    async def _supervise(self, before: Files, after: Files) -> set[str]:
        """Tell supervisord of programs that are new; the ones that changed or went, which are dealt with later."""
        path = "supervisor/programs.conf"
        if effective(before[path]) == effective(after[path]):
            return set()
        added, changed, removed = await asyncio.to_thread(self.service.supervisor.reload)
        for group in added:
            await asyncio.to_thread(self.service.supervisor.add, group)
        return {*changed, *removed}

    def _adopt(self, plan: Plan, before: Files, after: Files, changed: set[str]) -> None:
        """Let the service work by the new plan."""
        service, now = self.service, self.service.clock()
        service.plan = plan
        for tenant in plan.tenants:
            keeper = service.keepers.get(tenant.program)
            if keeper is None:
                service.keepers[tenant.program] = Keeper(tenant)
            elif tenant.program not in changed:
                keeper.take(tenant)
                script = f"launch/{tenant.program}.sh"
                if effective(before.get(script, "")) != effective(after[script]):
                    service.tasks.start(service.restart(keeper))
        for tenant in plan.tenants:
            keeper = service.keepers[tenant.program]
            if tenant.eager and keeper.tenant.state is State.STOPPED:
                service.feed(keeper, life.Requested(now))
        wanted = {each.program for each in plan.tenants}
        for program in changed & wanted:
            service.tasks.start(self._replace(service.keepers[program], plan))

    async def _replace(self, keeper: Keeper, plan: Plan) -> None:
        """A program whose entry changed: end it, take its new entry, and start it again if it was up."""
        service, was_up = self.service, keeper.tenant.state in life.AWAKE
        program = keeper.plan.program
        await self._down(keeper)
        await asyncio.to_thread(service.supervisor.remove, program)
        await asyncio.to_thread(service.supervisor.add, program)
        keeper.take(next(each for each in plan.tenants if each.program == program))
        if was_up or keeper.waiting:
            service.feed(keeper, life.Requested(service.clock()))

    async def _forget(self, plan: Plan) -> None:
        """Tenants that left the file: nginx knows them no more, so they drain and go."""
        wanted = {each.program for each in plan.tenants}
        for program in [each for each in self.service.keepers if each not in wanted]:
            self.service.tasks.start(self._remove(self.service.keepers[program], program))

    async def _remove(self, keeper: Keeper, program: str) -> None:
        await self._down(keeper)
        if program in {each.program for each in self.service.plan.tenants}:
            return  # it came back meanwhile
        del self.service.keepers[program]
        await asyncio.to_thread(self.service.supervisor.remove, program)
        log.info("tenant.forgotten tenant=%s", keeper.plan.id)

    async def _down(self, keeper: Keeper) -> None:
        self.service.feed(keeper, life.StopAsked(self.service.clock()))
        if keeper.tenant.state is not State.STOPPED:
            await keeper.until(State.STOPPED)

    async def _reload(self, state: Path, old: Generation, after: Files) -> None:
        paths = self.service.plan.paths
        version = after["nginx/version.conf"].partition("return 200 ")[2].partition(";")[0]
        nginx.reload(Path(paths.nginx_pid))
        try:
            await nginx.wait_for_version(paths.nginx_status, version)
        except ApplyError:
            activate(state, old)
            self.service.plan = load(read_files(old)["plan.json"])
            os.utime(old.path)
            raise


def _file_of(plan: Plan) -> Path:
    return Path(plan.base, Path(plan.file).name)
