"""The life of a tenant: one pure function from (tenant, event) to (tenant, commands).

Time comes in with the events, in seconds of a monotonic clock. The socket nginx connects to is the tenant's state for
the outside: it exists in READY, SWITCHING and nowhere else, so a request of a running tenant never comes here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

STABLE_AFTER = 2.0  # a process that was ready for this long has not failed to start
CRASHES_FORGIVEN = 3  # crashes in a row that are answered by a start at once
LONGEST_BACKOFF = 60.0


class State(StrEnum):
    """What a tenant is doing."""

    STOPPED = "stopped"  # no process
    PREPARING = "preparing"  # migrations run; requests are held
    STARTING = "starting"  # a process boots and does not answer yet; requests are held
    READY = "ready"  # requests go straight from nginx to the process
    SWITCHING = "switching"  # ready, and a new process boots beside it
    DRAINING = "draining"  # the socket is gone, open requests end; new ones are held and bring it back
    STOPPING = "stopping"  # told to end; new requests are held and wake it again
    FAILED = "failed"  # the last start did not succeed; requests are refused until `retry_at`


AWAKE = frozenset({State.PREPARING, State.STARTING, State.READY, State.SWITCHING, State.DRAINING, State.STOPPING})
_BOOTING = frozenset({State.PREPARING, State.STARTING})


@dataclass(frozen=True)
class Tenant:
    """What the agent knows of a tenant."""

    id: str
    slots: int = 2
    prepares: bool = False
    pinned: bool = False
    state: State = State.STOPPED
    slot: int = 0  # of the current process, or of the one that boots
    wanted: bool = False  # somebody asked while it could not be started
    held: bool = False  # its program is being replaced: nothing starts until that is done
    restarts: bool = False  # a restart is due once it is down or ready
    failures: int = 0
    retry_at: float = 0.0
    since: float = 0.0  # when the state began
    reason: str = ""  # why it failed, for people


# Events: what happened.


@dataclass(frozen=True)
class Requested:
    """A request found nobody on the socket, or a person asked for a start. `forced` ignores the backoff."""

    at: float
    forced: bool = False


@dataclass(frozen=True)
class Prepared:
    """The prepare step ended well, or was not needed."""

    at: float


@dataclass(frozen=True)
class Probed:
    """The process in a slot answers."""

    at: float
    slot: int


@dataclass(frozen=True)
class Faulted:
    """The prepare step or the boot of a slot did not succeed."""

    at: float
    slot: int
    reason: str


@dataclass(frozen=True)
class Exited:
    """The process in a slot ended."""

    at: float
    slot: int
    reason: str


@dataclass(frozen=True)
class Drained:
    """No connection is open on the old socket, or the time for that is over."""

    at: float


@dataclass(frozen=True)
class StopAsked:
    """It is idle, or a person asked for a stop. `hold`: its program is about to be replaced or removed."""

    at: float
    hold: bool = False


@dataclass(frozen=True)
class Released:
    """Its program was replaced; what was asked for meanwhile may happen."""

    at: float


@dataclass(frozen=True)
class RestartAsked:
    """Its launch changed, or a person asked. `hold`: the old process must end before the new one starts."""

    at: float
    hold: bool = False


Event = Requested | Prepared | Probed | Faulted | Exited | Drained | StopAsked | Released | RestartAsked


# Commands: what to do.


@dataclass(frozen=True)
class Prepare:
    """Run the prepare step when it is due."""


@dataclass(frozen=True)
class Start:
    """Start the process in a slot, and probe it."""

    slot: int


@dataclass(frozen=True)
class Link:
    """Let nginx connect to the process in a slot."""

    slot: int


@dataclass(frozen=True)
class Unlink:
    """Let nginx find nobody."""


@dataclass(frozen=True)
class Drain:
    """Wait until the slot's connections are closed, then say `Drained`."""

    slot: int


@dataclass(frozen=True)
class Stop:
    """End the process in a slot; `Exited` follows."""

    slot: int


@dataclass(frozen=True)
class Retire:
    """Drain and end the process in a slot that is not the tenant's any more; nothing follows."""

    slot: int


@dataclass(frozen=True)
class Admit:
    """Let every held request go on."""


@dataclass(frozen=True)
class Refuse:
    """Refuse every held request."""


Command = Prepare | Start | Link | Unlink | Drain | Stop | Retire | Admit | Refuse
Step = tuple[Tenant, tuple[Command, ...]]


def backoff(failures: int) -> float:
    """Seconds until the next start after so many failures in a row."""
    return float(min(2 ** max(0, failures - 1), LONGEST_BACKOFF))


def step(tenant: Tenant, event: Event) -> Step:
    """What becomes of a tenant by an event, and what is to be done.

    Every pair is decided: what is not listed is late news of a process that is not the tenant's any more.
    """
    match tenant.state, event:
        case _, StopAsked(hold=True) if not tenant.held:
            return step(replace(tenant, held=True, wanted=tenant.state in _BOOTING), StopAsked(event.at))
        case _, Released() if tenant.held:
            freed = replace(tenant, held=False)
            return step(freed, Requested(event.at)) if freed.wanted else (freed, ())
        case State.STOPPED | State.FAILED | State.DRAINING, Requested() if tenant.held:
            return replace(tenant, wanted=True), ()
        case State.STOPPED, Requested():
            return _wake(tenant, event.at)  # -> PREPARING or STARTING
        case State.STOPPED, StopAsked():
            return tenant, _refusal(tenant)
        case State.FAILED, Requested():
            if event.forced or event.at >= tenant.retry_at:
                return _wake(tenant, event.at)  # -> PREPARING or STARTING
            return tenant, (Refuse(),)
        case State.FAILED, StopAsked():
            return _to(tenant, State.STOPPED, event.at, failures=0, reason=""), _refusal(tenant)
        case State.FAILED, RestartAsked():
            return replace(tenant, failures=0, retry_at=event.at), ()  # what changed may have mended it
        case State.PREPARING, Prepared():
            return _to(tenant, State.STARTING, event.at), (Start(tenant.slot),)
        case State.PREPARING | State.STARTING, Faulted(slot=slot) if slot == tenant.slot:
            return _failed(tenant, event.at, event.reason, stop=tenant.state is State.STARTING)
        case State.STARTING, Exited(slot=slot) if slot == tenant.slot:
            return _failed(tenant, event.at, event.reason, stop=False)
        case State.STARTING, Probed(slot=slot) if slot == tenant.slot:
            ready = _to(tenant, State.READY, event.at, reason="", restarts=False)
            if tenant.restarts:  # its launch changed while it booted
                again, commands = _restart(ready, event.at, hold=False)
                return again, (Link(slot), Admit(), *commands)
            return ready, (Link(slot), Admit())
        case State.PREPARING | State.STARTING, StopAsked():
            return _stopping(tenant, event.at), (*_refusal(tenant), Stop(tenant.slot))
        case State.PREPARING | State.STARTING, RestartAsked():
            return replace(tenant, restarts=True), ()
        case State.READY | State.SWITCHING, Requested():
            return tenant, (Admit(),)
        case State.READY, StopAsked():
            return _to(tenant, State.DRAINING, event.at, wanted=False), (Unlink(), Drain(tenant.slot))
        case State.READY, RestartAsked():
            return _restart(tenant, event.at, hold=event.hold)  # -> SWITCHING or DRAINING
        case State.READY, Exited(slot=slot) if slot == tenant.slot:
            return _crashed(tenant, event.at, event.reason)
        case State.SWITCHING, _:
            return _switching(tenant, event)
        case State.DRAINING, Requested():
            if tenant.restarts:
                return replace(tenant, wanted=True), ()
            return _to(tenant, State.READY, event.at), (Link(tenant.slot), Admit())
        case State.DRAINING, Drained():
            return _to(tenant, State.STOPPING, event.at), (Stop(tenant.slot),)
        case State.DRAINING | State.STOPPING, Exited(slot=slot) if slot == tenant.slot:
            return _down(tenant, event.at)  # -> STOPPED, or up again when wanted
        case State.STOPPING, Requested():
            return replace(tenant, wanted=True), ()
        case State.DRAINING | State.STOPPING, RestartAsked():
            return tenant, ()  # its next start is the new launch anyway
        case State.DRAINING | State.STOPPING, StopAsked():
            return replace(tenant, wanted=tenant.held and tenant.wanted, restarts=False), _refusal(tenant)
        case _:
            return tenant, ()


def _refusal(tenant: Tenant) -> tuple[Command, ...]:
    """Whoever waits is refused by a stop, and goes on waiting while a program is replaced."""
    return () if tenant.held else (Refuse(),)


def _stopping(tenant: Tenant, at: float) -> Tenant:
    return _to(tenant, State.STOPPING, at, wanted=tenant.held and tenant.wanted)


def _to(tenant: Tenant, state: State, at: float, **changes: object) -> Tenant:
    return replace(tenant, state=state, since=at, **changes)  # type: ignore[arg-type]


def _wake(tenant: Tenant, at: float) -> Step:
    if tenant.prepares:
        return _to(tenant, State.PREPARING, at, wanted=False), (Prepare(),)
    return _to(tenant, State.STARTING, at, wanted=False), (Start(tenant.slot),)


def _failed(tenant: Tenant, at: float, reason: str, *, stop: bool) -> Step:
    failures = tenant.failures + 1
    failed = _to(
        tenant, State.FAILED, at, failures=failures, reason=reason, retry_at=at + backoff(failures), restarts=False
    )
    return failed, ((Refuse(), Retire(tenant.slot)) if stop else (Refuse(),))


def _crashed(tenant: Tenant, at: float, reason: str) -> Step:
    """A process that was ready is gone: the next request starts the other slot at once, unless that keeps happening."""
    failures = 1 if at - tenant.since >= STABLE_AFTER else tenant.failures + 1
    fresh = replace(tenant, failures=failures, slot=_other(tenant), reason=reason)
    if failures > CRASHES_FORGIVEN:
        delay = backoff(failures - CRASHES_FORGIVEN)
        return _to(fresh, State.FAILED, at, retry_at=at + delay), (Unlink(), Refuse())
    if tenant.pinned:
        up, commands = _wake(fresh, at)
        return up, (Unlink(), *commands)
    return _to(fresh, State.STOPPED, at), (Unlink(),)


def _restart(tenant: Tenant, at: float, *, hold: bool) -> Step:
    if hold or tenant.slots < 2:
        down = _to(tenant, State.DRAINING, at, wanted=True, restarts=True)
        return down, (Unlink(), Drain(tenant.slot))
    fresh = _to(tenant, State.SWITCHING, at, slot=_other(tenant))
    return fresh, (Start(fresh.slot),)


def _switching(tenant: Tenant, event: Event) -> Step:
    """The new process boots in `slot`; the old one, in the other slot, still serves."""
    old = _other(tenant)
    match event:
        case Probed(slot=slot) if slot == tenant.slot:
            ready = _to(tenant, State.READY, event.at, failures=0, reason="", restarts=False)
            commands: tuple[Command, ...] = (Link(slot), Retire(old), Admit())
            if tenant.restarts:
                again, more = _restart(ready, event.at, hold=True)
                return again, (*commands, *more)
            return ready, commands
        case Faulted(slot=slot) | Exited(slot=slot) if slot == tenant.slot:
            kept = _to(tenant, State.READY, event.at, slot=old, reason=f"restart failed: {event.reason}")
            return kept, (Retire(slot),)
        case Exited(slot=slot) if slot == old:
            return _to(tenant, State.STARTING, event.at), (Unlink(),)
        case StopAsked():
            return _to(tenant, State.DRAINING, event.at, slot=old, wanted=False), (
                Unlink(),
                Retire(tenant.slot),
                Drain(old),
            )
        case RestartAsked():
            return replace(tenant, restarts=True), ()
        case _:
            return tenant, ()


def _down(tenant: Tenant, at: float) -> Step:
    if tenant.wanted and not tenant.held:
        return _wake(replace(tenant, restarts=False), at)
    return _to(tenant, State.STOPPED, at, restarts=False), ()


def _other(tenant: Tenant) -> int:
    return (tenant.slot + 1) % tenant.slots
