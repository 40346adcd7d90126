"""Every change of state that the lifecycle can make, found by trying every event in every state that is reached."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State, Tenant, step

_SOON, _LATER = 0.0, 100.0  # before and after a process is stable and a backoff is over


def transitions() -> set[tuple[State, State]]:
    """Pairs of different states of which the second follows from the first by one event."""
    unseen = [
        Tenant("a/x", slots=slots, prepares=prepares, pinned=pinned)
        for slots, prepares, pinned in product((1, 2), (False, True), (False, True))
    ]
    seen = set(unseen)
    found = set()
    while unseen:
        tenant = unseen.pop()
        for event in _events(tenant):
            after = _normal(step(tenant, event)[0])
            if after.state is not tenant.state:
                found.add((tenant.state, after.state))
            if after not in seen:
                seen.add(after)
                unseen.append(after)
    return found


def _events(tenant: Tenant) -> list[life.Event]:
    events: list[life.Event] = []
    for at in (_SOON, _LATER):
        events += [life.Requested(at), life.Requested(at, forced=True), life.Released(at)]
        events += [life.RestartRefused(at, "")]
        events += [life.Prepared(at)] if tenant.state is State.PREPARING else []
        events += [life.Drained(at)] if tenant.state is State.DRAINING else []
        for hold in (False, True):
            events += [life.StopAsked(at, hold), life.RestartAsked(at, hold)]
        for slot in range(tenant.slots):
            events += [life.Exited(at, slot, "")]
            events += [life.Probed(at, slot), life.Faulted(at, slot, "")]
    return events


def _normal(tenant: Tenant) -> Tenant:
    """Without what differs only in number, so that the search ends."""
    retry_at = (_SOON + _LATER) / 2 if tenant.retry_at > _SOON else 0.0
    failures = min(tenant.failures, life.CRASHES_FORGIVEN + 1)
    return replace(tenant, since=0.0, retry_at=retry_at, reason="", failures=failures)
