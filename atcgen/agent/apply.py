"""From an edit of atc.yml to a running system: compile, test, activate, reload; or keep what runs and say why.

Only what changed is touched: nginx reloads when its text changed, supervisord when a program did, and a tenant
restarts when its own launch script did.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import xmlrpc.client
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from atcgen.agent import lifecycle as life
from atcgen.agent.building import SLOT
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.rolling import Roller
from atcgen.agent.service import Service
from atcgen.compiler.changes import PROGRAMS, VERSION, launches_differently, reloads_nginx
from atcgen.compiler.plan import Plan, TenantPlan, load
from atcgen.compiler.render import Files, effective
from atcgen.errors import ApplyError, AtcError
from atcgen.system import nginx
from atcgen.system.generations import Generation, activate, active, prune, read_files
from atcgen.system.logs import size_of
from atcgen.system.private import forget

log = logging.getLogger("atc.agent")

_FOR_THE_LAST_COPY = 30.0  # seconds
_FOR_THE_END_OF_A_BUILD = 60.0
_CLOSING = "nothing was written"  # by the command; here the sentence is another


class Applier:
    """Applies generations, one at a time."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.problem = ""  # why the file is not what runs
        self._lock = asyncio.Lock()
        self._again = False
        self._compiled: Generation | None = None  # of the text that was just put in place
        self.roller = Roller(service, self.apply_now)

    @property
    def is_busy(self) -> bool:
        """Does an edit wait to be what runs?"""
        return self._lock.locked()

    async def apply(self) -> None:
        """Make what atc.yml says now run; edits that come meanwhile are taken together afterwards."""
        if self._lock.locked():
            self._again = True
            return
        async with self._lock:
            await self._apply_until_settled()

    async def apply_now(self) -> str:
        """The same, done when this returns; what is wrong with atc.yml, '' when nothing is."""
        async with self._lock:
            await self._apply_until_settled()
        return self.problem

    async def install(self, text: str, put: Callable[[], None]) -> None:
        """Make another text what atc.yml says, and run it: `put` writes it once it has compiled here.

        Raises `AtcError` when it does not compile, and then nothing changed, or when it could not be applied.
        """
        async with self._lock:
            plan = self.service.plan
            self._compiled = await self._compile(plan, Path(plan.paths.state), text)
            try:
                put()
            except OSError as problem:
                self._compiled = None
                raise ApplyError(f"{file_of(plan)} cannot be written: {problem.strerror}") from None
            await self._apply_until_settled()
        if self.problem:
            raise ApplyError(self.problem)

    async def _apply_until_settled(self) -> None:
        while True:
            self._again = False
            try:
                await self._apply()
                self.problem = ""
            except AtcError as problem:
                self.problem = str(problem)
                log.error("atc.yml was not applied; the generation before it runs on\n%s", problem)
            if not self._again:
                break
        self.roller.go_on()

    async def _apply(self) -> None:
        plan = self.service.plan
        state = Path(plan.paths.state)
        if not plan.has_file and not file_of(plan).exists():
            return
        fresh, old = await self._fresh(plan, state), active(state)
        if old is None or fresh.digest == old.digest:
            return
        before, after = read_files(old), read_files(fresh)
        new_plan, reloads = load(after["plan.json"]), reloads_nginx(before, after)
        _refuse_surprises(plan, new_plan)
        if reloads:
            log_file = Path(plan.paths.logs, "nginx.error.log")
            await asyncio.to_thread(nginx.test, fresh.path / "nginx/nginx.conf", plan.server, log_file)
        activate(state, fresh)
        try:
            changed = await self._introduce(new_plan, before, after)
            if reloads:
                await self._reload(after)
        except AtcError:
            activate(state, old)
            await self._withdraw(plan, before, after)
            raise
        self._adopt(before, after, changed)
        self._forget()
        self.service.tasks.start(self._forget_builds(plan))
        await asyncio.to_thread(prune, state)
        log.info("generation.applied digest=%s nginx_reloaded=%s", fresh.digest, reloads)

    async def _fresh(self, plan: Plan, state: Path) -> Generation:
        """What atc.yml says now, but for tenants whose turn to move to another directory has not come."""
        compiled, self._compiled = self._compiled, None
        fresh = compiled or await self._compile(plan, state)
        if self.roller.hold(plan, load((fresh.path / "plan.json").read_text(encoding="utf-8"))):
            fresh = await self._compile(plan, state)
        return fresh

    async def _compile(self, plan: Plan, state: Path, text: str | None = None) -> Generation:
        """In a process of its own, so that a long file never holds up a request that wakes a tenant."""
        words = [sys.executable, "-m", "atcgen", "store", "-c", str(file_of(plan))]
        words += ["--given"] if text is not None else []
        words += ["--state", str(state), "--called", plan.file]
        words += [f"--region={plan.region}"] if plan.region else []
        words += [f"--instance={plan.instance}"] if plan.instance else []
        words += ["--", *plan.command]
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            said, complaints = await child.communicate((text or "").encode(errors="surrogateescape"))
        finally:
            if child.returncode is None:  # the agent ends, and nobody waits for it
                child.kill()
        if child.returncode:
            raise ApplyError(complaints.decode(errors="replace").strip().removesuffix(_CLOSING).strip())
        name = said.decode().strip()
        return Generation(name, state / "generations" / name)

    async def _introduce(self, plan: Plan, before: Files, after: Files) -> set[str]:
        """Make new tenants known before nginx sends anybody to them; the programs whose entry changed."""
        changed = await self._supervise(before, after)
        service = self.service
        service.take(plan)
        for tenant in plan.tenants:
            service.introduce(tenant)
        return changed

    async def _supervise(self, before: Files, after: Files) -> set[str]:
        if effective(before[PROGRAMS]) == effective(after[PROGRAMS]):
            return set()
        added, changed, _ = await asyncio.to_thread(self.service.supervisor.reload)
        for group in added:
            await asyncio.to_thread(self.service.supervisor.add, group)
        return set(changed)

    async def _withdraw(self, plan: Plan, before: Files, after: Files) -> None:
        """Go back to a plan whose generation is active again; no process of it was touched yet."""
        with suppress(AtcError):
            await self._supervise(after, before)
        self.service.take(plan)
        self._forget()

    def _adopt(self, before: Files, after: Files, changed: set[str]) -> None:
        """Let tenants that were there before work by their new plans, and restart the ones that start differently."""
        service = self.service
        for tenant in service.plan.tenants:
            keeper = service.keepers[tenant.program]
            if tenant.program in changed:
                service.tasks.start(self._replace(keeper))
                continue
            keeper.take(tenant)
            if launches_differently(tenant.program, before, after):
                keeper.restarting = service.tasks.start(service.restart(keeper))
            elif tenant.eager and keeper.tenant.state is State.STOPPED:
                service.feed(keeper, life.Requested(service.clock()))

    async def _replace(self, keeper: Keeper) -> None:
        """A program whose entry changed: end it, take its new entry, and start it again if it was up."""
        service, program = self.service, keeper.plan.program
        async with keeper.lock:
            was_up = keeper.tenant.state in life.AWAKE
            await self._down(keeper)
            await asyncio.to_thread(service.supervisor.remove, program)
            await asyncio.to_thread(service.supervisor.add, program)
            plan = self._wanted().get(program)
            if plan:
                keeper.take(plan)
                if was_up or plan.eager:
                    service.feed(keeper, life.Requested(service.clock()))
            service.feed(keeper, life.Released(service.clock()))

    def _forget(self) -> None:
        """Tenants that left the file: nginx knows them no more, so they drain and go."""
        for program in self.service.keepers.keys() - self._wanted().keys():
            self.service.tasks.start(self._remove(self.service.keepers[program]))

    async def _forget_builds(self, before: Plan) -> None:
        """Builds that nobody waits for any more; one that goes on is ended."""
        supervisor = self.service.supervisor
        for each in before.builds:
            if self.service.builds.has(each.program):
                continue
            with suppress(AtcError, xmlrpc.client.Fault):
                await asyncio.to_thread(supervisor.stop, each.program, SLOT)
                deadline = self.service.clock() + _FOR_THE_END_OF_A_BUILD
                while (await asyncio.to_thread(supervisor.process, each.program, SLOT)).is_up:
                    if self.service.clock() > deadline:
                        return
                    await asyncio.sleep(0.1)
                if not self.service.builds.has(each.program):
                    await asyncio.to_thread(supervisor.remove, each.program)

    async def _remove(self, keeper: Keeper) -> None:
        service, program = self.service, keeper.plan.program
        async with keeper.lock:
            await self._down(keeper)
            if program not in self._wanted():
                if keeper.custodian:
                    await keeper.custodian.settled(_FOR_THE_LAST_COPY)
                    await asyncio.to_thread(service.supervisor.remove, keeper.custodian.backup.program)
                await asyncio.to_thread(service.supervisor.remove, program)
                await asyncio.to_thread(forget, keeper.plan)
                if program not in self._wanted():
                    service.keepers.pop(program, None)
                    await asyncio.to_thread(forget, keeper.plan)
                    keeper.release(admitted=False)
                    log.info("tenant.forgotten tenant=%s", keeper.plan.id)
                    return
                await asyncio.to_thread(service.supervisor.add, program)
                if keeper.custodian:
                    await asyncio.to_thread(service.supervisor.add, keeper.custodian.backup.program)
            service.feed(keeper, life.Released(service.clock()))  # it came back meanwhile

    def _wanted(self) -> dict[str, TenantPlan]:
        return {each.program: each for each in self.service.plan.tenants}

    async def _down(self, keeper: Keeper) -> None:
        self.service.feed(keeper, life.StopAsked(self.service.clock(), hold=True))
        await keeper.until(lambda tenant: tenant.state is State.STOPPED and not tenant.leaving)

    async def _reload(self, after: Files) -> None:
        paths = self.service.plan.paths
        version = after[VERSION].partition("return 200 ")[2].partition(";")[0]
        error_log = Path(paths.logs, "nginx.error.log")
        offset = size_of(error_log)
        old = nginx.workers(Path(paths.nginx_pid))
        nginx.reload(Path(paths.nginx_pid))
        await nginx.wait_for_version(paths.nginx_status, version, error_log, offset)
        await nginx.wait_until_leaving(old)


def _refuse_surprises(old: Plan, new: Plan) -> None:
    """Edits that are not meant as such, or that a running atc cannot follow."""
    if new.alone and not old.alone:
        hint = "to serve one application alone, start atc again"
        raise ApplyError("atc.yml says nothing of users or routes any more", hint=hint)
    if new.server.worker_user != old.server.worker_user:
        said = f"nginx's workers would run as {new.server.worker_user!r} instead of {old.server.worker_user!r}"
        raise ApplyError(f"{said}, for which atc has to be started again")
    if new.store != old.store:
        raise ApplyError("`storage` names another store or lease, for which atc has to be started again")


def file_of(plan: Plan) -> Path:
    """The atc.yml that was compiled."""
    return Path(plan.base, Path(plan.file).name)
