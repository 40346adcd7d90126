"""The life of the machine: one pure function from (machine, event) to (machine, commands), as of a tenant.

A machine that nobody uses goes to sleep, and whoever asks in the meantime wins. Between the last look and the end of
its sleep a gate is closed: every request that nginx cannot pass to a process waits for the agent. The platform says
neither when the machine is suspended nor when it goes on, and its clock may be wrong then. So it is the first request
at the gate that ends the sleep, whether there was one or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

LONGEST_BACKOFF = 300.0  # seconds
PATIENCE = 60.0  # for a sleep that the platform has promised
_RECALLABLE = 5.0  # seconds after that promise
_TWICE = 2
_LADDER = ("suspend", "stop", "end")  # what is done instead of the one before, where the platform never does that


class State(StrEnum):
    """What the machine is doing."""

    AWAKE = "awake"
    SETTLING = "settling"  # its idle hooks run; requests are served
    FENCED = "fenced"  # the gate is closed, the platform is asked
    ASLEEP = "asleep"  # the platform has said yes; it stands still now, or will at any moment
    RETURNING = "returning"  # checks and resume hooks run; who is at the gate waits for them


@dataclass(frozen=True)
class Machine:
    """What the agent knows of its machine."""

    state: State = State.AWAKE
    since: float = 0.0
    used: float = 0.0  # when somebody needed it last
    is_gated: bool = False
    is_ordered: bool = False  # the platform was asked and has not answered
    is_wanted: bool = False  # somebody came while it settled
    is_stale: bool = False  # time has passed while it returned: what was checked has to be checked again
    failures: int = 0
    denials: int = 0  # in a row, of what the platform calls impossible
    impossible: frozenset[str] = frozenset()  # what it denied twice
    retry_at: float = 0.0
    problem: str = ""  # why it did not go to sleep, for people


# Events


@dataclass(frozen=True)
class Looked:
    """What is seen, once a second and right after the gate was closed."""

    at: float
    after: float = 0.0  # how long it has to be unused
    order: str = ""  # what it does then: suspend, stop, end, or '' for nothing
    busy: str = ""  # what it is needed for, '' for nothing
    visitors: int = 0  # connections from outside that are open
    used: float = 0.0  # when one of them was seen that stays


@dataclass(frozen=True)
class Requested:
    """Somebody is at the gate, or gave an order."""

    at: float


@dataclass(frozen=True)
class Settled:
    """The idle hooks are over; one of them failed for a reason, or none did."""

    at: float
    problem: str = ""


@dataclass(frozen=True)
class Accepted:
    """The platform has said that it will."""

    at: float


@dataclass(frozen=True)
class Refused:
    """The platform did not do it; `for_good` if it says that it never will."""

    at: float
    order: str
    problem: str
    for_good: bool = False


@dataclass(frozen=True)
class Resumed:
    """Time has passed while the machine stood still."""

    at: float


@dataclass(frozen=True)
class Returned:
    """Checks and resume hooks are over."""

    at: float


Event = Looked | Requested | Settled | Accepted | Refused | Resumed | Returned


# Commands


@dataclass(frozen=True)
class Settle:
    """Run the idle hooks, then say `Settled`."""


@dataclass(frozen=True)
class CloseGate:
    """Let every request ask first."""


@dataclass(frozen=True)
class OpenGate:
    """Let everybody go on."""


@dataclass(frozen=True)
class Look:
    """Say at once what is seen."""


@dataclass(frozen=True)
class Order:
    """Ask the platform; `Accepted` or `Refused` follows."""

    order: str


@dataclass(frozen=True)
class Recall:
    """Ask the platform not to do it."""


@dataclass(frozen=True)
class Check:
    """Look whether something has changed while the machine stood still."""


@dataclass(frozen=True)
class Return:
    """Check, if time may have passed, run the resume hooks if they are due, then say `Returned`."""

    checks: bool
    hooks: bool = True


Command = Settle | CloseGate | OpenGate | Look | Order | Recall | Check | Return
Step = tuple[Machine, tuple[Command, ...]]


def backoff(failures: int) -> float:
    """Seconds until the next attempt after so many failures in a row."""
    return float(min(2 ** min(max(0, failures - 1), 10), LONGEST_BACKOFF))


def rungs(order: str, impossible: frozenset[str]) -> str:
    """What is done in place of an order, as far as it is impossible."""
    if order not in _LADDER:
        return ""
    return next((each for each in _LADDER[_LADDER.index(order) :] if each not in impossible), _LADDER[-1])


def step(machine: Machine, event: Event) -> Step:
    """What becomes of the machine by an event, and what is to be done. What no function lists is late news."""
    return _BY_STATE[machine.state](machine, event)


def _awake(machine: Machine, event: Event) -> Step:
    match event:
        case Looked(busy=busy) if busy:
            return replace(machine, used=event.at), ()
        case Looked():
            machine = replace(machine, used=max(machine.used, event.used))
            is_early = event.at - machine.used < event.after or event.at < machine.retry_at
            if not event.order or event.visitors or is_early:
                return machine, ()
            return _to(machine, State.SETTLING, event.at, is_wanted=False), (Settle(),)
        case Resumed():
            return machine, (Check(),)
        case Requested():
            return replace(machine, used=event.at), ()
    return machine, ()


def _settling(machine: Machine, event: Event) -> Step:
    match event:
        case Looked() if event.busy or event.used > machine.since:
            return replace(machine, is_wanted=True), ()
        case Requested():
            return replace(machine, is_wanted=True), ()
        case Resumed():
            return replace(machine, is_wanted=True), (Check(),)
        case Settled(problem=problem) if problem:
            return _return(_failed(machine, event.at, problem), event.at, checks=False)
        case Settled() if machine.is_wanted:
            return _return(machine, event.at, checks=False)
        case Settled():
            return _to(machine, State.FENCED, event.at, is_gated=True), (CloseGate(), Look())
    return machine, ()


def _fenced(machine: Machine, event: Event) -> Step:
    match event:
        case Looked() if event.busy or not event.order or event.used > machine.since:
            return _return(machine, event.at, checks=True, recalls=machine.is_ordered)
        case Looked() if not (machine.is_ordered or event.visitors or event.at < machine.retry_at):
            return replace(machine, is_ordered=True), (Order(rungs(event.order, machine.impossible)),)
        case Requested():
            return _return(machine, event.at, checks=True, recalls=machine.is_ordered)
        case Resumed():
            return _return(machine, event.at, checks=True)
        case Accepted():
            return _to(machine, State.ASLEEP, event.at, is_ordered=False, problem=""), ()
        case Refused():
            return _refused(machine, event), ()
    return machine, ()


def _asleep(machine: Machine, event: Event) -> Step:
    match event:
        case Looked() if event.busy or event.used > machine.since:
            return _return(_slept(machine), event.at, checks=True, recalls=True)
        case Looked() if event.at - machine.since > PATIENCE:
            problem = "the platform has said yes and done nothing"
            return _to(_failed(machine, event.at, problem), State.FENCED, event.at), ()
        case Requested():
            recalls = event.at - machine.since < _RECALLABLE
            return _return(_slept(machine), event.at, checks=True, recalls=recalls)
        case Resumed():
            return _return(_slept(machine), event.at, checks=True)
    return machine, ()


def _returning(machine: Machine, event: Event) -> Step:
    match event:
        case Returned() if machine.is_stale:
            return replace(machine, is_stale=False), (Return(checks=True, hooks=False),)
        case Returned():
            commands: tuple[Command, ...] = (OpenGate(),) if machine.is_gated else ()
            return _to(machine, State.AWAKE, event.at, used=event.at, is_gated=False), commands
        case Resumed():
            return replace(machine, is_stale=True), ()
    return machine, ()


_BY_STATE = {
    State.AWAKE: _awake,
    State.SETTLING: _settling,
    State.FENCED: _fenced,
    State.ASLEEP: _asleep,
    State.RETURNING: _returning,
}


def _to(machine: Machine, state: State, at: float, **changes: object) -> Machine:
    return replace(machine, state=state, since=at, **changes)  # type: ignore[arg-type]


def _return(machine: Machine, at: float, *, checks: bool, recalls: bool = False) -> Step:
    commands: tuple[Command, ...] = (Recall(),) if recalls else ()
    returning = _to(machine, State.RETURNING, at, is_ordered=False, is_stale=False)
    return returning, (*commands, Return(checks=checks))


def _slept(machine: Machine) -> Machine:
    return replace(machine, failures=0, denials=0, retry_at=0.0, problem="")


def _failed(machine: Machine, at: float, problem: str) -> Machine:
    failures = machine.failures + 1
    return replace(machine, failures=failures, retry_at=at + backoff(failures), problem=problem)


def _refused(machine: Machine, event: Refused) -> Machine:
    """It stays at the gate and asks again later; for something else when it was told twice that this cannot be."""
    failed = replace(_failed(machine, event.at, event.problem), is_ordered=False)
    denials = machine.denials + 1 if event.for_good else 0
    if denials < _TWICE:
        return replace(failed, denials=denials)
    impossible = machine.impossible | {event.order}
    return replace(failed, denials=0, failures=0, retry_at=event.at, impossible=impossible)
