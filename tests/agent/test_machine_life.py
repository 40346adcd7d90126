"""The life of the machine, case by case."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atcgen.agent import machine_life as life
from atcgen.agent.machine_life import Machine, State, step

IDLE = life.Looked(at=500.0, after=300.0, order="suspend")
FENCED = Machine(state=State.FENCED, since=400.0, is_gated=True)
ORDERED = replace(FENCED, is_ordered=True)
ASLEEP = Machine(state=State.ASLEEP, since=500.0, is_gated=True)
RETURNING = Machine(state=State.RETURNING, since=500.0, is_gated=True)
EVENTS: tuple[life.Event, ...] = (
    IDLE,
    replace(IDLE, busy="a/x is ready"),
    replace(IDLE, visitors=2),
    replace(IDLE, used=499.0),
    replace(IDLE, order=""),
    life.Requested(500.0),
    life.Settled(500.0),
    life.Settled(500.0, "hook idle ended with 1"),
    life.Accepted(500.0),
    life.Refused(500.0, "suspend", "500", for_good=False),
    life.Refused(500.0, "suspend", "403", for_good=True),
    life.Resumed(500.0),
    life.Returned(500.0),
)


def test_a_night_without_a_visitor() -> None:
    """Idle hooks, gate, a last look, the order; and the first request afterwards waits for checks and hooks."""
    settling, settle = step(Machine(), IDLE)
    fenced, close = step(settling, life.Settled(501.0))
    ordered, order = step(fenced, replace(IDLE, at=501.0))
    asleep, nothing = step(ordered, life.Accepted(502.0))
    returning, back = step(asleep, life.Requested(90_000.0))
    awake, opened = step(returning, life.Returned(90_001.0))

    assert [each.state for each in (settling, fenced, ordered, asleep, returning, awake)] == [
        State.SETTLING,
        State.FENCED,
        State.FENCED,
        State.ASLEEP,
        State.RETURNING,
        State.AWAKE,
    ]
    assert (settle, close) == ((life.Settle(),), (life.CloseGate(), life.Look()))
    assert (order, nothing) == ((life.Order("suspend"),), ())
    assert (back, opened) == ((life.Return(checks=True),), (life.OpenGate(),))
    assert awake.used == 90_001.0


@pytest.mark.parametrize(
    "seen",
    [
        replace(IDLE, busy="a/x is ready"),
        replace(IDLE, visitors=1),
        replace(IDLE, used=499.0),
        replace(IDLE, at=299.0),
        replace(IDLE, order=""),
    ],
)
def test_who_is_needed_stays_awake(seen: life.Looked) -> None:
    """By a tenant, by a connection, by one that was open a moment ago, or because nothing puts it to sleep."""
    machine, commands = step(Machine(), seen)

    assert (machine.state, commands) == (State.AWAKE, ())


def test_what_kept_it_awake_counts_from_its_end() -> None:
    """Idle is counted from the last time that it was busy."""
    machine, _ = step(Machine(), replace(IDLE, busy="a/x is ready"))

    assert step(machine, replace(IDLE, at=799.0))[0].state is State.AWAKE
    assert step(machine, replace(IDLE, at=800.0))[0].state is State.SETTLING


@pytest.mark.parametrize("news", [life.Requested(501.0), replace(IDLE, at=501.0, busy="a/x is starting")])
def test_who_comes_while_it_settles_is_served_and_resume_hooks_follow_idle_hooks(news: life.Event) -> None:
    """No gate is closed, and the two kinds of hooks do not run at the same time."""
    settling, _ = step(Machine(), IDLE)
    wanted, nothing = step(settling, news)
    returning, back = step(wanted, life.Settled(502.0))
    awake, commands = step(returning, life.Returned(503.0))

    assert (wanted.state, nothing, back) == (State.SETTLING, (), (life.Return(checks=False),))
    assert (awake.state, commands, returning.is_gated) == (State.AWAKE, (), False)


def test_a_failed_idle_hook_keeps_it_awake_for_a_while() -> None:
    """It is tried again after a backoff, and the resume hooks follow all the same."""
    settling, _ = step(Machine(), IDLE)
    returning, back = step(settling, life.Settled(501.0, "hook idle ended with 1"))
    awake, _ = step(returning, life.Returned(501.0))

    assert back == (life.Return(checks=False),)
    assert (awake.problem, awake.retry_at) == ("hook idle ended with 1", 502.0)
    assert step(awake, replace(IDLE, at=501.5, after=0.1))[0].state is State.AWAKE
    assert step(awake, replace(IDLE, at=502.0, after=0.1))[0].state is State.SETTLING


def test_who_comes_before_the_order_is_given_wins() -> None:
    """Nothing was asked of the platform."""
    machine, commands = step(FENCED, life.Requested(500.0))

    assert (machine.state, machine.is_gated, commands) == (State.RETURNING, True, (life.Return(checks=True),))


def test_who_comes_after_the_order_was_given_wins() -> None:
    """It is taken back; what the platform answers to it is late news."""
    machine, commands = step(ORDERED, life.Requested(500.0))

    assert commands == (life.Recall(), life.Return(checks=True))
    assert step(machine, life.Accepted(501.0)) == (machine, ())


def test_who_is_connected_for_a_moment_is_waited_for() -> None:
    """A health check that is open at the last look delays the order, and no more."""
    machine, commands = step(FENCED, replace(IDLE, visitors=1))

    assert (machine, commands) == (FENCED, ())
    assert step(machine, IDLE)[1] == (life.Order("suspend"),)


def test_a_refusal_is_followed_by_another_attempt_behind_the_gate() -> None:
    """After one second, two, four; the hooks do not run again."""
    machine, pauses = ORDERED, []
    for _ in range(3):
        machine, commands = step(machine, life.Refused(500.0, "suspend", "503", for_good=False))
        assert commands == ()
        pauses.append(machine.retry_at - 500.0)
        assert step(machine, replace(IDLE, at=machine.retry_at - 0.1))[1] == ()
        machine, commands = step(machine, replace(IDLE, at=machine.retry_at))
        assert commands == (life.Order("suspend"),)

    assert pauses == [1.0, 2.0, 4.0]
    assert machine.problem == "503"


def test_what_is_denied_twice_is_not_asked_for_again() -> None:
    """A machine that cannot be suspended is stopped, and one that cannot be told to stop ends."""
    machine, orders = ORDERED, []
    for order in ("suspend", "suspend", "stop", "stop"):
        machine, _ = step(machine, life.Refused(500.0, order, "403", for_good=True))
        machine, commands = step(machine, replace(IDLE, at=machine.retry_at))
        orders += [each.order for each in commands if isinstance(each, life.Order)]

    assert orders == ["suspend", "stop", "stop", "end"]


def test_a_promise_that_is_not_kept_is_no_sleep() -> None:
    """After a minute the platform is asked again; the gate stays closed, and whoever comes is let in."""
    machine, commands = step(ASLEEP, replace(IDLE, at=561.0))

    assert (machine.state, machine.is_gated, commands) == (State.FENCED, True, ())
    assert "done nothing" in machine.problem


def test_time_that_passes_while_it_returns_makes_it_look_again() -> None:
    """The machine may have been suspended in the middle of its checks."""
    stale, nothing = step(RETURNING, life.Resumed(501.0))
    again, back = step(stale, life.Returned(502.0))

    assert (nothing, back) == ((), (life.Return(checks=True, hooks=False),))
    assert step(again, life.Returned(503.0))[1] == (life.OpenGate(),)


def test_who_stood_still_without_having_been_told_to_looks_around() -> None:
    """The platform, or the owner of a laptop, did it."""
    assert step(Machine(), life.Resumed(500.0)) == (Machine(), (life.Check(),))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("is_gated", [False, True])
def test_every_state_takes_every_event(state: State, is_gated: bool) -> None:
    """Nothing raises, and the time of a state is that of the event that made it."""
    machine = Machine(state=state, since=1.0, is_gated=is_gated)
    for event in EVENTS:
        after, commands = step(machine, event)
        assert after.state is state or after.since == 500.0
        assert isinstance(commands, tuple)


def test_every_event_is_tried() -> None:
    """A new kind of event is not forgotten above."""
    assert {type(each) for each in EVENTS} == set(life.Event.__args__)


@pytest.mark.parametrize("failures", [0, 1, 9, 10, 5000])
def test_backoff_is_bounded(failures: int) -> None:
    """From a second to five minutes."""
    assert 1.0 <= life.backoff(failures) <= 300.0
