"""Every pair of a state and an event is decided."""

from __future__ import annotations

import pytest

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State, Tenant, step

_AT = 50.0
EVENTS: tuple[life.Event, ...] = (
    life.Requested(_AT),
    life.Requested(_AT, forced=True),
    life.Prepared(_AT),
    *(
        each
        for slot in (0, 1)
        for each in (life.Probed(_AT, slot), life.Faulted(_AT, slot, "late"), life.Exited(_AT, slot, "gone"))
    ),
    life.Drained(_AT),
    life.StopAsked(_AT),
    life.StopAsked(_AT, hold=True),
    life.Released(_AT),
    life.RestartAsked(_AT),
    life.RestartAsked(_AT, hold=True),
    life.RestartRefused(_AT, "no build"),
)


@pytest.mark.parametrize("slots", [1, 2])
@pytest.mark.parametrize("due", life.Due)
@pytest.mark.parametrize("leaving", [frozenset(), frozenset({0}), frozenset({1}), frozenset({0, 1})])
@pytest.mark.parametrize(("wanted", "held"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("state", State)
def test_every_state_takes_every_event(
    state: State, wanted: bool, held: bool, leaving: frozenset[int], due: life.Due, slots: int
) -> None:
    """Nothing raises, time of the state is that of the event when it changes, and names of states stay."""
    tenant = Tenant(
        "a", slots, state=state, leaving=leaving, due=due, wanted=wanted, held=held, since=1.0, reason="why"
    )
    for event in EVENTS:
        after, commands = step(tenant, event)
        assert isinstance(after.state, State)
        assert isinstance(commands, tuple)
        assert after.state is tenant.state or after.since == _AT
        assert (after.id, after.slots, after.prepares, after.pinned) == ("a", slots, False, False)


def test_every_event_is_tried() -> None:
    """A new kind of event is not forgotten above."""
    assert {type(each) for each in EVENTS} == set(life.Event.__args__)


@pytest.mark.parametrize("failures", [0, 1, 2, 6, 7, 100, 5000])
def test_backoff_is_bounded(failures: int) -> None:
    """It grows from a second to a minute, however often something fails."""
    assert 1.0 <= life.backoff(failures) <= life.LONGEST_BACKOFF


def test_backoff_doubles() -> None:
    """A second, two, four."""
    assert [life.backoff(each) for each in (1, 2, 3)] == [1.0, 2.0, 4.0]
