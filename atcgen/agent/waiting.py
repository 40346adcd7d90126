"""What those hear who wait: a word for nginx, when to ask again, and a sentence for the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atcgen.agent.lifecycle import State

if TYPE_CHECKING:
    from atcgen.replica.progress import Restoring

_SOON, _LATE = 2.0, 60.0  # seconds
_STAGES = {
    State.PREPARING: "It is being prepared.",
    State.STARTING: "It is starting.",
    State.DRAINING: "It ends what it does, and starts again then.",
    State.STOPPING: "It ends what it does, and starts again then.",
    State.FAILED: "It could not be started, and will be tried again in a moment.",
}
BUILT = "A new version of it is being built."
_OTHERWISE = "It is being woken up for you."


@dataclass(frozen=True)
class Verdict:
    """`word` is ready, starting, failed or unknown; after `retry` seconds it is sensible to ask again."""

    word: str
    retry: float = 0.0
    stage: str = ""


def stage(state: State, restoring: Restoring | None, *, claims: bool, waits_for_owner: bool) -> str:
    """What goes on, for visitors: nothing in it names machines, paths or reasons that only an owner should read.

    `claims`: the store is asked for its databases. `waits_for_owner`: they were another machine's when it was asked.
    """
    if restoring:
        return f"Its {restoring.what} are being restored: {restoring}."
    if state is State.FAILED and waits_for_owner:
        return "Another machine has its databases. It starts here when they are given back."
    if state is State.PREPARING and claims:
        return "Its databases are being fetched."
    return _STAGES.get(state, _OTHERWISE)


def retry_after(restoring: Restoring | None) -> float:
    """When to ask again for a tenant that starts: when its restore may be over."""
    left = restoring.seconds_left if restoring else None
    return min(max(_SOON, left or 0.0), _LATE)
