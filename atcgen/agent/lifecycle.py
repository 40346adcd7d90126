"""The life of a tenant: one pure function from (tenant, event) to (tenant, commands).

Time comes in with the events, in seconds of a monotonic clock. The socket nginx connects to is the tenant's state for
the outside: it exists in READY, SWITCHING and nowhere else, so a request of a running tenant never comes here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum

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


class Due(IntEnum):
    """Is the current process older than what its launch script says now, and how may it be replaced?"""

    NO = 0
    OVERLAP = 1  # by a new process that boots beside it
    HOLD = 2  # only after its end, while requests are held


@dataclass(frozen=True)
class Tenant:
    """What the agent knows of a tenant."""

    id: str
    slots: int = 2
    prepares: bool = False
    pinned: bool = False
    state: State = State.STOPPED
    slot: int = 0  # of the current process, or of the one that boots
    old: int = 0  # in SWITCHING: the slot of the process that still serves
    leaving: frozenset[int] = frozenset()  # slots whose processes are retired and have not ended yet
    due: Due = Due.NO
    wanted: bool = False  # somebody asked while it could not be started
    held: bool = False  # its program is being replaced: nothing starts until that is done
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
    """The prepare step or the boot of a slot did not succeed; it may do so in `retry_in` seconds, if that is known."""

    at: float
    slot: int
    reason: str
    retry_in: float = LONGEST_BACKOFF


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


@dataclass(frozen=True)
class RestartRefused:
    """It was to be restarted, and what has to be done before that did not succeed."""

    at: float
    reason: str


Event = (
    Requested | Prepared | Probed | Faulted | Exited | Drained | StopAsked | Released | RestartAsked | RestartRefused
)


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
    """Drain and end the process in a slot that is not the tenant's any more; `Exited` follows."""

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

    Every pair is decided: what no function lists is late news of a process that is not the tenant's any more.
    """
    match event:
        case StopAsked(hold=True) if not tenant.held:
            wanted = tenant.wanted or tenant.state in _BOOTING
            return step(replace(tenant, held=True, wanted=wanted), StopAsked(event.at))
        case Released() if tenant.held:
            freed = replace(tenant, held=False)
            return step(freed, Requested(event.at)) if freed.wanted else (freed, ())
        case Exited(slot=slot) if slot in tenant.leaving:
            return _left(replace(tenant, leaving=tenant.leaving - {slot}), event)
    return _BY_STATE[tenant.state](tenant, event)


def _stopped(tenant: Tenant, event: Event) -> Step:
    match event:
        case Requested() if tenant.held:
            return replace(tenant, wanted=True), ()
        case Requested():
            return _wake(tenant, event.at)  # -> PREPARING, STARTING or STOPPING
        case StopAsked():
            return tenant, _refusal(tenant)
    return tenant, ()


def _failed(tenant: Tenant, event: Event) -> Step:
    match event:
        case Requested() if tenant.held:
            return replace(tenant, wanted=True), ()
        case Requested(forced=forced):
            if forced or event.at >= tenant.retry_at:
                return _wake(tenant, event.at)  # -> PREPARING, STARTING or STOPPING
            return tenant, (Refuse(),)
        case StopAsked():
            return _to(tenant, State.STOPPED, event.at, failures=0, reason=""), _refusal(tenant)
        case RestartAsked():
            return replace(tenant, failures=0, retry_at=event.at), ()  # what changed may have mended it
    return tenant, ()


def _preparing(tenant: Tenant, event: Event) -> Step:
    match event:
        case Prepared() if tenant.due:
            return _wake(tenant, event.at)  # what was prepared is not what starts
        case Prepared():
            return _start(tenant, event.at)  # -> STARTING or STOPPING
        case Faulted(slot=slot) if slot == tenant.slot:
            return _fail(tenant, event.at, event.reason, event.retry_in)
    return _booting(tenant, event)


def _starting(tenant: Tenant, event: Event) -> Step:
    match event:
        case Probed(slot=slot) if slot == tenant.slot:
            ready = _to(tenant, State.READY, event.at, reason="")
            commands: tuple[Command, ...] = (Link(slot), Admit())
            return _then(_renew(ready, event.at), before=commands) if tenant.due else (ready, commands)
        case Faulted(slot=slot) if slot == tenant.slot:
            failed, commands = _fail(replace(tenant, leaving=tenant.leaving | {slot}), event.at, event.reason)
            return failed, (Retire(slot), *commands)
        case Exited(slot=slot) if slot == tenant.slot:
            return _fail(tenant, event.at, event.reason)
    return _booting(tenant, event)


def _booting(tenant: Tenant, event: Event) -> Step:
    match event:
        case StopAsked():
            wanted = tenant.held and tenant.wanted
            stopping = _to(tenant, State.STOPPING, event.at, wanted=wanted)
            return stopping, (*_refusal(tenant), Stop(tenant.slot))
        case RestartAsked(hold=hold):
            return _made_due(tenant, hold=hold), ()
    return tenant, ()


def _ready(tenant: Tenant, event: Event) -> Step:
    match event:
        case Requested():
            return tenant, (Admit(),)
        case StopAsked():
            draining = _to(_proven(tenant, event.at), State.DRAINING, event.at, wanted=tenant.held and tenant.wanted)
            return draining, (Unlink(), Drain(tenant.slot))
        case RestartAsked(hold=hold):
            return _renew(_made_due(tenant, hold=hold), event.at)  # -> SWITCHING or DRAINING
        case RestartRefused(reason=reason):
            return replace(tenant, reason=f"restart failed: {reason}"), ()
        case Exited(slot=slot) if slot == tenant.slot:
            return _crash(tenant, event.at, event.reason)
    return tenant, ()


def _switching(tenant: Tenant, event: Event) -> Step:
    """The new process boots in `slot`; the one in `old` still serves."""
    match event:
        case Requested():
            return tenant, (Admit(),)
        case Probed(slot=slot) if slot == tenant.slot:
            leaving = tenant.leaving | {tenant.old}
            ready = _to(tenant, State.READY, event.at, failures=0, reason="", leaving=leaving)
            return _then(_renew(ready, event.at), before=(Link(slot), Retire(tenant.old), Admit()))
        case Faulted(slot=slot) if slot == tenant.slot:
            kept = _kept(replace(tenant, leaving=tenant.leaving | {slot}), event.at, event.reason)
            return _then(_renew(kept, event.at), before=(Retire(slot),))
        case Exited(slot=slot) if slot == tenant.slot:
            return _renew(_kept(tenant, event.at, event.reason), event.at)
        case Exited(slot=slot) if slot == tenant.old:
            return _to(tenant, State.STARTING, event.at), (Unlink(),)
        case StopAsked():
            leaving = tenant.leaving | {tenant.slot}
            wanted = tenant.held and tenant.wanted
            draining = replace(tenant, slot=tenant.old, leaving=leaving, due=Due.HOLD, wanted=wanted)
            return _to(draining, State.DRAINING, event.at), (Unlink(), Retire(tenant.slot), Drain(tenant.old))
        case RestartAsked(hold=hold):
            return _made_due(tenant, hold=hold), ()
    return tenant, ()


def _draining(tenant: Tenant, event: Event) -> Step:
    match event:
        case Requested() if tenant.held or tenant.due:
            return replace(tenant, wanted=True), ()
        case Requested():
            return _to(tenant, State.READY, event.at), (Link(tenant.slot), Admit())
        case Drained():
            return _to(tenant, State.STOPPING, event.at), (Stop(tenant.slot),)
        case RestartAsked():
            return _made_due(tenant, hold=True), ()
    return _going(tenant, event)


def _stopping(tenant: Tenant, event: Event) -> Step:
    match event:
        case Requested():
            return replace(tenant, wanted=True), ()
    return _going(tenant, event)


def _going(tenant: Tenant, event: Event) -> Step:
    match event:
        case Exited(slot=slot) if slot == tenant.slot:
            return _down(tenant, event.at)
        case StopAsked():
            return replace(tenant, wanted=tenant.held and tenant.wanted), _refusal(tenant)
    return tenant, ()


_BY_STATE = {
    State.STOPPED: _stopped,
    State.PREPARING: _preparing,
    State.STARTING: _starting,
    State.READY: _ready,
    State.SWITCHING: _switching,
    State.DRAINING: _draining,
    State.STOPPING: _stopping,
    State.FAILED: _failed,
}


def _left(tenant: Tenant, event: Exited) -> Step:
    """A retired process has ended, and its slot is free for what waited for it."""
    if tenant.state is State.STOPPING and event.slot == tenant.slot:
        return _down(tenant, event.at)
    return _renew(tenant, event.at) if tenant.state is State.READY else (tenant, ())


def _refusal(tenant: Tenant) -> tuple[Command, ...]:
    """Whoever waits is refused by a stop, and goes on waiting while a program is replaced."""
    return () if tenant.held else (Refuse(),)


def _to(tenant: Tenant, state: State, at: float, **changes: object) -> Tenant:
    return replace(tenant, state=state, since=at, **changes)  # type: ignore[arg-type]


def _then(result: Step, *, before: tuple[Command, ...]) -> Step:
    return result[0], (*before, *result[1])


def _made_due(tenant: Tenant, *, hold: bool) -> Tenant:
    return replace(tenant, due=max(tenant.due, Due.HOLD if hold else Due.OVERLAP))


def _proven(tenant: Tenant, at: float) -> Tenant:
    """A process that served for long makes up for the starts that failed before it."""
    return replace(tenant, failures=0) if at - tenant.since >= STABLE_AFTER else tenant


def _free(tenant: Tenant) -> int | None:
    """A slot without a process: the tenant's own before the other one; None while both are left."""
    slots = sorted(set(range(tenant.slots)) - tenant.leaving, key=lambda each: each != tenant.slot)
    return slots[0] if slots else None


def _wake(tenant: Tenant, at: float) -> Step:
    tenant = replace(tenant, wanted=False, due=Due.NO)
    if tenant.prepares:
        return _to(tenant, State.PREPARING, at), (Prepare(),)
    return _start(tenant, at)


def _start(tenant: Tenant, at: float) -> Step:
    slot = _free(tenant)
    if slot is None:  # the end of a process that leaves is waited for
        return _to(tenant, State.STOPPING, at, slot=min(tenant.leaving), wanted=True), ()
    return _to(tenant, State.STARTING, at, slot=slot), (Start(slot),)


def _fail(tenant: Tenant, at: float, reason: str, retry_in: float = LONGEST_BACKOFF) -> Step:
    if tenant.due:  # what changed meanwhile may have mended it
        return _wake(tenant, at)
    failures = tenant.failures + 1
    failed = _to(
        tenant, State.FAILED, at, failures=failures, reason=reason, retry_at=at + min(backoff(failures), retry_in)
    )
    return failed, (Refuse(),)


def _crash(tenant: Tenant, at: float, reason: str) -> Step:
    """A process that was ready is gone: the next request starts the other slot at once, unless that keeps happening."""
    failures = 1 if at - tenant.since >= STABLE_AFTER else tenant.failures + 1
    other = (tenant.slot + 1) % tenant.slots
    fresh = replace(tenant, failures=failures, slot=other, due=Due.NO, reason=reason)
    if failures > CRASHES_FORGIVEN:
        delay = backoff(failures - CRASHES_FORGIVEN)
        return _to(fresh, State.FAILED, at, retry_at=at + delay), (Unlink(), Refuse())
    if tenant.pinned:
        return _then(_wake(fresh, at), before=(Unlink(),))
    return _to(fresh, State.STOPPED, at), (Unlink(),)


def _kept(tenant: Tenant, at: float, reason: str) -> Tenant:
    """A restart that failed leaves the old process where it was."""
    return _to(tenant, State.READY, at, slot=tenant.old, reason=f"restart failed: {reason}")


def _renew(tenant: Tenant, at: float) -> Step:
    """Replace the process that serves, if that is due and can be done now."""
    if tenant.due is Due.NO:
        return tenant, ()
    tenant = _proven(tenant, at)
    if tenant.due is Due.HOLD or tenant.slots < 2:
        return _to(tenant, State.DRAINING, at, due=Due.HOLD, wanted=True), (Unlink(), Drain(tenant.slot))
    other = (tenant.slot + 1) % tenant.slots
    if other in tenant.leaving:
        return tenant, ()  # its end comes as `Exited`
    return _to(tenant, State.SWITCHING, at, slot=other, old=tenant.slot, due=Due.NO), (Start(other),)


def _down(tenant: Tenant, at: float) -> Step:
    if tenant.wanted and not tenant.held:
        return _wake(tenant, at)
    return _to(tenant, State.STOPPED, at, due=Due.NO), ()
