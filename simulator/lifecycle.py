"""The states of a machine: a pure function from (state, event) to (state, action)."""

from __future__ import annotations

from enum import StrEnum, auto


class State(StrEnum):
    """Where a machine is in its life."""

    CREATED = auto()
    STARTING = auto()
    STARTED = auto()
    SUSPENDING = auto()
    SUSPENDED = auto()
    STOPPING = auto()
    STOPPED = auto()
    DESTROYED = auto()


ASLEEP = frozenset({State.CREATED, State.STOPPED, State.SUSPENDED})


class Event(StrEnum):
    """What is asked of a machine, or happens to it."""

    START = auto()
    RUNS = auto()  # the start succeeded
    FAILS = auto()  # the start did not
    SUSPEND = auto()
    FROZEN = auto()  # the memory is saved
    STOP = auto()
    EXITS = auto()  # no process is left
    DESTROY = auto()


class Action(StrEnum):
    """What has to be done about it."""

    NOTHING = auto()
    BOOT = auto()
    RESUME = auto()
    FREEZE = auto()
    THAW = auto()
    SIGNAL = auto()  # kill_signal, and after a while SIGKILL
    DISCARD = auto()  # the memory of a suspended machine
    KILL = auto()


class Refused(Exception):
    """A machine in this state cannot do that."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"unable to {event.value} a machine that is {state.value}")
        self.state = state


S, E, A = State, Event, Action
_TABLE: dict[tuple[State, Event], tuple[State, Action]] = {
    (S.CREATED, E.START): (S.STARTING, A.BOOT),
    (S.CREATED, E.STOP): (S.STOPPED, A.NOTHING),
    (S.STARTING, E.START): (S.STARTING, A.NOTHING),
    (S.STARTING, E.RUNS): (S.STARTED, A.NOTHING),
    (S.STARTING, E.FAILS): (S.STOPPED, A.NOTHING),
    (S.STARTING, E.STOP): (S.STOPPING, A.SIGNAL),
    (S.STARTING, E.EXITS): (S.STOPPED, A.NOTHING),
    (S.STARTED, E.START): (S.STARTED, A.NOTHING),
    (S.STARTED, E.SUSPEND): (S.SUSPENDING, A.FREEZE),
    (S.STARTED, E.STOP): (S.STOPPING, A.SIGNAL),
    (S.STARTED, E.EXITS): (S.STOPPED, A.NOTHING),
    (S.SUSPENDING, E.START): (S.STARTED, A.THAW),
    (S.SUSPENDING, E.SUSPEND): (S.SUSPENDING, A.NOTHING),
    (S.SUSPENDING, E.FROZEN): (S.SUSPENDED, A.NOTHING),
    (S.SUSPENDING, E.STOP): (S.STOPPING, A.DISCARD),
    (S.SUSPENDING, E.EXITS): (S.STOPPED, A.NOTHING),
    (S.SUSPENDED, E.START): (S.STARTING, A.RESUME),
    (S.SUSPENDED, E.SUSPEND): (S.SUSPENDED, A.NOTHING),
    (S.SUSPENDED, E.STOP): (S.STOPPING, A.DISCARD),
    (S.SUSPENDED, E.EXITS): (S.STOPPED, A.NOTHING),
    (S.STOPPING, E.STOP): (S.STOPPING, A.NOTHING),
    (S.STOPPING, E.EXITS): (S.STOPPED, A.NOTHING),
    (S.STOPPED, E.START): (S.STARTING, A.BOOT),
    (S.STOPPED, E.STOP): (S.STOPPED, A.NOTHING),
    (S.STOPPED, E.EXITS): (S.STOPPED, A.NOTHING),
}


def step(state: State, event: Event) -> tuple[State, Action]:
    """The next state and what to do; `Refused` when the machine cannot do that."""
    if event is Event.DESTROY and state is not State.DESTROYED:
        return State.DESTROYED, Action.KILL
    if (state, event) not in _TABLE:
        raise Refused(state, event)
    return _TABLE[state, event]
