"""The states that a machine had, and when. Pure, with a clock that is given."""

from __future__ import annotations

from collections.abc import Callable

from simulator.lifecycle import State


class History:
    """What others may still believe of a machine."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._states = [(clock(), State.CREATED)]

    def note(self, state: State) -> None:
        """It is in another state now."""
        self._states.append((self._clock(), state))

    def forget(self) -> None:
        """As if it had always been as it is."""
        self._states = [(float("-inf"), self._states[-1][1])]

    def at(self, moment: float) -> State:
        """The state it had then."""
        return next((state for since, state in reversed(self._states) if since <= moment), self._states[0][1])

    def slept_within(self, seconds: float) -> bool:
        """Was it stopped or suspended a short while ago?"""
        horizon = self._clock() - seconds
        return any(since > horizon and state in (State.STOPPED, State.SUSPENDED) for since, state in self._states)
