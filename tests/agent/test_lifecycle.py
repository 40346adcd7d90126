"""The life of a tenant, event by event."""

from __future__ import annotations

import pytest

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State, Tenant, step
from tests.agent.world import World


def script(tenant: Tenant, *events: life.Event) -> tuple[Tenant, list[life.Command]]:
    """Run events through the machine; the last state and all commands."""
    said: list[life.Command] = []
    for event in events:
        tenant, commands = step(tenant, event)
        said += commands
    return tenant, said


def test_a_request_wakes_and_an_idle_tenant_sleeps() -> None:
    """From stopped through ready back to stopped."""
    tenant, said = script(
        Tenant("a"),
        life.Requested(0),
        life.Probed(1, 0),
        life.StopAsked(9),
        life.Drained(9),
        life.Exited(10, 0, "ended"),
    )

    assert tenant.state is State.STOPPED
    assert [life.Start(0), life.Link(0), life.Admit(), life.Unlink(), life.Drain(0), life.Stop(0)] == said


def test_a_request_while_it_drains_brings_it_back() -> None:
    """No process is wasted when somebody comes before the signal."""
    tenant, said = script(Tenant("a"), life.Requested(0), life.Probed(1, 0), life.StopAsked(9), life.Requested(9))

    assert tenant.state is State.READY
    assert [life.Link(0), life.Admit()] == said[-2:]


def test_a_request_while_it_stops_wakes_it_again() -> None:
    """Nobody is refused because of bad timing."""
    tenant, said = script(
        Tenant("a"),
        life.Requested(0),
        life.Probed(1, 0),
        life.StopAsked(9),
        life.Drained(9),
        life.Requested(9.5),
        life.Exited(10, 0, "ended"),
    )

    assert tenant.state is State.STARTING
    assert said[-1] == life.Start(0)


def test_a_failed_start_refuses_and_backs_off() -> None:
    """Waiting requests are refused at once, and the next start waits."""
    tenant, said = script(Tenant("a"), life.Requested(0), life.Exited(0.1, 0, "exit 1"))

    assert tenant.state is State.FAILED
    assert said[-1] == life.Refuse()
    assert step(tenant, life.Requested(0.5))[0].state is State.FAILED
    assert step(tenant, life.Requested(1.2))[0].state is State.STARTING


def test_a_crash_is_answered_by_the_other_slot() -> None:
    """The next request does not wait for what is left of the old process."""
    tenant, said = script(
        Tenant("a"), life.Requested(0), life.Probed(1, 0), life.Exited(9, 0, "killed"), life.Requested(9)
    )

    assert tenant.state is State.STARTING
    assert said[-1] == life.Start(1)


def test_a_restart_overlaps() -> None:
    """The old process serves until the new one is linked."""
    tenant, said = script(Tenant("a"), life.Requested(0), life.Probed(1, 0), life.RestartAsked(5), life.Probed(6, 1))

    assert tenant.state is State.READY
    assert [life.Start(1), life.Link(1), life.Retire(0), life.Admit()] == said[3:]


def test_a_restart_that_fails_keeps_the_old_process() -> None:
    """A bad edit does not take a running tenant down."""
    tenant, _ = script(
        Tenant("a"), life.Requested(0), life.Probed(1, 0), life.RestartAsked(5), life.Exited(6, 1, "exit 1")
    )

    assert tenant.state is State.READY
    assert tenant.slot == 0
    assert "exit 1" in tenant.reason


@pytest.mark.parametrize(("slots", "hold"), [(2, False), (2, True), (1, False)])
def test_after_a_restart_the_new_launch_serves(slots: int, hold: bool) -> None:
    """Requests that come during a restart are answered, and in the end by the process that was to come."""
    world = World(slots=slots, prepares=False)
    world.request()
    world.answer(0)
    world.change(hold=hold)
    world.request()
    world.finish()

    assert not world.held
    assert world.tenant.state is State.READY
    assert [each.launch for each in world.processes.values()] == [world.launch]


def test_a_change_while_it_boots_is_used() -> None:
    """A process that was started from an old launch script is replaced as soon as it answers."""
    world = World(slots=2, prepares=False)
    world.request()
    world.change()
    world.finish()

    assert [each.launch for each in world.processes.values()] == [world.launch]


def test_a_pinned_tenant_that_crashes_is_started_without_a_request() -> None:
    """Somebody wants it always."""
    world = World(slots=2, prepares=False, pinned=True)
    world.request()
    world.answer(0)
    world.now += 10
    world.end(0)
    world.finish()

    assert world.tenant.state is State.READY


def test_crashes_in_a_row_are_not_forgiven_for_ever() -> None:
    """A process that dies as soon as it is ready is given a rest."""
    world = World(slots=2, prepares=False)
    for _ in range(life.CRASHES_FORGIVEN + 1):
        world.request()
        slot = world.tenant.slot
        world.answer(slot)
        world.end(slot)

    assert world.tenant.state is State.FAILED
    assert world.tenant.retry_at > world.now


def test_requests_wait_while_a_program_is_replaced() -> None:
    """They are neither refused nor answered by the old process, and wake the new one."""
    world = World(slots=2, prepares=False)
    world.request()
    world.answer(0)
    world.replace()
    world.request()
    world.drained()
    world.end(0)

    assert (world.tenant.state, world.held) == (State.STOPPED, 1)

    world.replaced()
    world.finish()

    assert (world.tenant.state, world.held) == (State.READY, 0)


def test_a_program_that_is_replaced_and_not_wanted_stays_down() -> None:
    """Nobody asked for it."""
    world = World(slots=2, prepares=False)
    world.request()
    world.answer(0)
    world.replace()
    world.finish()

    assert world.tenant.state is State.STOPPED
