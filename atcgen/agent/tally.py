"""What is counted of a tenant since the agent began: pure, from its changes of state."""

from __future__ import annotations

from dataclasses import dataclass, replace

from atcgen.agent.lifecycle import State

_AT_REST = frozenset({State.STOPPED, State.FAILED, State.DRAINING, State.STOPPING})
_BOOTING = frozenset({State.PREPARING, State.STARTING})


@dataclass(frozen=True)
class Tally:
    """Counters, and how long the last wake took in seconds; None before the first one."""

    wakes: int = 0
    failures: int = 0
    crashes: int = 0
    restarts: int = 0
    last_wake: float | None = None
    began: float | None = None  # when the wake that goes on began

    def moved(self, before: State, now: State, at: float) -> Tally:
        """A tenant went from one state to another."""
        told = self
        if before is State.READY and now in (_BOOTING | {State.STOPPED, State.FAILED}):
            told = replace(told, crashes=told.crashes + 1)
        if now in _BOOTING and before in _AT_REST:
            told = replace(told, wakes=told.wakes + 1, began=at)
        if now is State.FAILED and before is not State.FAILED:
            told = replace(told, failures=told.failures + 1, began=None)
        if now is State.STOPPED:
            told = replace(told, began=None)
        if now is State.READY and told.began is not None:
            told = replace(told, last_wake=at - told.began, began=None)
        return told

    def restarted(self) -> Tally:
        """Its process was told to make way for another one."""
        return replace(self, restarts=self.restarts + 1)
