"""Rolls a release out: when atc.yml names another directory, tenants move to it one by one, losing no request.

The first that does not start there goes back to where it was, and the rest stay there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from atcgen.agent import lifecycle as life
from atcgen.agent.keeper import Keeper
from atcgen.agent.lifecycle import State
from atcgen.agent.service import Service
from atcgen.compiler.plan import Plan
from atcgen.system.roots import Held, read_held, write_held

log = logging.getLogger("atc.agent")

_SETTLED = frozenset({State.READY, State.FAILED, State.STOPPED})


class Roller:
    """`apply` has atc.yml run, with those held who are, and returns what is wrong with it, '' when nothing is."""

    def __init__(self, service: Service, apply: Callable[[], Awaitable[str]]) -> None:
        self._service, self._apply = service, apply
        self._state = Path(service.plan.paths.state)
        self._held = read_held(self._state)
        self._turn: frozenset[str] = frozenset()  # whose turn it is to move
        self._rolling = False

    def hold(self, old: Plan, new: Plan) -> bool:
        """Keep tenants where they are that a new plan would move, unless it is their turn; were there any?"""
        roots, wanted = {each.id: each.root for each in old.tenants}, {each.id: each.root for each in new.tenants}
        kept = {name: root for name, root in self._held.roots.items() if name in wanted}
        moved = {
            name: roots[name]
            for name, root in wanted.items()
            if name not in self._turn and roots.get(name, root) != root
        }
        if moved or kept != self._held.roots:
            self._keep(Held(kept | moved, "" if moved else self._held.problem))
        return bool(moved)

    def go_on(self) -> None:
        """Move those that are held, in the background, unless one could not be moved."""
        if self._held.roots and not self._held.problem and not self._rolling and not self._service.is_ending:
            self._rolling = True
            self._service.tasks.start(self._roll())

    def retry(self) -> None:
        """The same, whatever went wrong before."""
        self._keep(replace(self._held, problem=""))
        self.go_on()

    def status(self) -> dict[str, object]:
        """For `atc status`."""
        return {"rolling": self._rolling, "held": sorted(self._held.roots), "problem": self._held.problem}

    def _keep(self, held: Held) -> None:
        self._held = held if held.roots else Held()
        write_held(self._state, self._held)

    async def _roll(self) -> None:
        try:
            moved = 0
            while self._held.roots:
                awake = [each for each in self._held_keepers() if each.tenant.state in life.AWAKE]
                names = [each.plan.id for each in awake or self._held_keepers()]
                if not names:
                    return
                # Nobody waits for those who sleep; but one has to show that the release starts at all.
                names = names[:1] if awake or not moved else names
                if not await self._move(names, prove=bool(awake) or not moved):
                    return
                moved += len(names)
            log.info("release.done tenants=%d", moved)
        finally:
            self._turn, self._rolling = frozenset(), False

    def _held_keepers(self) -> list[Keeper]:
        return [each for each in self._service.keepers.values() if each.plan.id in self._held.roots]

    async def _move(self, names: list[str], *, prove: bool) -> bool:
        """Move tenants to the directory that atc.yml names; False when that cannot be, and then they are back."""
        before = self._held
        self._turn = frozenset(names)
        self._keep(replace(before, roots={name: root for name, root in before.roots.items() if name not in names}))
        if await self._apply():  # atc.yml has errors just now: it goes on when it has none
            self._keep(before)
            return False
        problem = await self._problem(names[0]) if prove else ""
        if not problem:
            return True
        log.error("release.stopped tenant=%s reason=%r", names[0], problem.partition("\n")[0])
        self._keep(replace(before, problem=f"{names[0]}: {problem}"))
        await self._apply()  # that it moves back is its turn yet
        await self._bring_back(names[0])
        return False

    def _keeper(self, name: str) -> Keeper | None:
        return next((each for each in self._service.keepers.values() if each.plan.id == name), None)

    async def _problem(self, name: str) -> str:
        """Why a tenant does not serve from where it is now; '' when it does."""
        service, keeper = self._service, self._keeper(name)
        if keeper is None:
            return ""
        if keeper.restarting:
            await keeper.restarting
        if keeper.tenant.state not in life.AWAKE:
            service.feed(keeper, life.Requested(service.clock(), forced=True))
        await keeper.until(lambda tenant: tenant.state in _SETTLED and not tenant.due)
        return keeper.tenant.reason if keeper.tenant.state in (State.READY, State.FAILED) else ""

    async def _bring_back(self, name: str) -> None:
        """Whoever was served before is served again."""
        service, keeper = self._service, self._keeper(name)
        if keeper:
            if keeper.restarting:
                await keeper.restarting
            service.feed(keeper, life.Requested(service.clock(), forced=True))
