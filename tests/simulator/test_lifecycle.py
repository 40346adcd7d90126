"""The states of a machine."""

from __future__ import annotations

from contextlib import suppress
from itertools import product

import pytest

from simulator.lifecycle import Action, Event, Refused, State, step


def test_every_pair_is_decided() -> None:
    """A state and an action, or a refusal."""
    for state, event in product(State, Event):
        with suppress(Refused):
            after, action = step(state, event)
            assert (after in State, action in Action) == (True, True)
    assert str(Refused(State.STOPPING, Event.START)) == "unable to start a machine that is stopping"


@pytest.mark.parametrize(
    ("events", "state", "action"),
    [
        ([Event.START], State.STARTING, Action.BOOT),
        ([Event.START, Event.RUNS, Event.SUSPEND], State.SUSPENDING, Action.FREEZE),
        ([Event.START, Event.RUNS, Event.SUSPEND, Event.START], State.STARTED, Action.THAW),
        ([Event.START, Event.RUNS, Event.SUSPEND, Event.FROZEN, Event.START], State.STARTING, Action.RESUME),
        ([Event.START, Event.RUNS, Event.SUSPEND, Event.FROZEN, Event.STOP], State.STOPPING, Action.DISCARD),
        ([Event.START, Event.FAILS, Event.START], State.STARTING, Action.BOOT),
        ([Event.START, Event.RUNS, Event.STOP, Event.EXITS], State.STOPPED, Action.NOTHING),
        ([Event.START, Event.START], State.STARTING, Action.NOTHING),
        ([Event.DESTROY], State.DESTROYED, Action.KILL),
    ],
)
def test_a_way_leads_to_a_state(events: list[Event], state: State, action: Action) -> None:
    """From `created`."""
    now, last = State.CREATED, Action.NOTHING
    for each in events:
        now, last = step(now, each)

    assert (now, last) == (state, action)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.STOPPING, Event.START),
        (State.DESTROYED, Event.START),
        (State.DESTROYED, Event.DESTROY),
        (State.STOPPED, Event.SUSPEND),
        (State.STARTING, Event.SUSPEND),
    ],
)
def test_some_things_a_machine_cannot_do(state: State, event: Event) -> None:
    """They are refused, and not delayed."""
    with pytest.raises(Refused):
        step(state, event)
