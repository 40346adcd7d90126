"""What keeps the machine awake: what it is busy with, and who is connected from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from atcgen.agent import lifecycle as life
from atcgen.agent.keeper import Keeper
from atcgen.agent.service import Service
from atcgen.compiler.plan import Plan
from atcgen.system.connections import Connections

LONG = 10.0  # seconds


class Work:
    """What is under way and must not be interrupted, by names for people."""

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """Until the block ends."""
        self._names[name] += 1
        try:
            yield
        finally:
            self._names[name] -= 1

    def __str__(self) -> str:
        return next((name for name, count in self._names.items() if count), "")


class Visitors:
    """Connections to nginx from outside.

    One that is open for long is of somebody who uses the machine. The others come and go, as those of health checks, of
    scanners and of a proxy's pool do: their end is waited for, and they count for nothing.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}  # when each was seen first

    def look(self, plan: Plan, at: float) -> tuple[int, bool]:
        """How many are open, and is one of them for long?"""
        self._since = {each: self._since.get(each, at) for each in Connections().visitors(plan.server.listen)}
        return len(self._since), any(at - since >= LONG for since in self._since.values())


def needed_for(service: Service, work: Work) -> str:
    """Why the machine has to be awake whether or not anybody is connected, for people; '' when it has not."""
    found = next(filter(None, map(_needs, service.keepers.values())), "")
    if found:
        return found
    if service.hooks.running:
        return "hooks run"
    return str(work)


def _needs(keeper: Keeper) -> str:
    name, tenant = keeper.plan.id, keeper.tenant
    if keeper.plan.pin:
        return f"{name} is pinned"
    if tenant.state in life.AWAKE or keeper.pids or tenant.leaving:
        return f"{name} is {tenant.state.value}"
    if keeper.waiting:
        return f"requests wait for {name}"
    if keeper.custodian and not keeper.custodian.is_at_rest:
        return f"the databases of {name} are not given back yet"
    return ""
