"""Changes, stops and crashes that come while something else is going on."""

from __future__ import annotations

from dataclasses import replace

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State
from tests.agent.world import World


def ready(*, slots: int = 2) -> World:
    """A tenant that serves from slot 0."""
    world = World(slots=slots, prepares=False)
    world.request()
    world.answer(0)
    return world


def test_a_start_after_a_boot_that_took_too_long_waits_for_the_old_process() -> None:
    """Requested, Faulted, Requested: the second start finds the slot empty."""
    world = World(slots=2, prepares=False)
    world.request()
    world.give_up(0)
    world.now += 2
    world.request()

    assert not world.started_twice


def test_a_second_restart_waits_for_the_process_that_was_retired() -> None:
    """RestartAsked, Probed, RestartAsked: the third process finds its slot empty."""
    world = ready()
    world.change()
    world.answer(1)
    world.change()

    assert not world.started_twice


def test_a_crash_after_a_restart_waits_for_the_process_that_was_retired() -> None:
    """RestartAsked, Probed, Exited, Requested: the start after a crash finds its slot empty."""
    world = ready()
    world.change()
    world.answer(1)
    world.end(1)
    world.request()

    assert not world.started_twice


def test_a_restart_after_one_that_failed_waits_for_its_process() -> None:
    """RestartAsked, Faulted, RestartAsked: the new process finds its slot empty."""
    world = ready()
    world.change()
    world.give_up(1)
    world.change()

    assert not world.started_twice


def test_a_change_while_it_drains_is_not_lost() -> None:
    """StopAsked, RestartAsked, Requested: what serves in the end was started from the new launch script."""
    world = ready()
    world.feed(life.StopAsked(world.now))
    world.change()
    world.request()
    world.finish()

    assert world.processes[world.tenant.slot].launch == world.launch


def test_a_change_before_a_stop_is_not_lost() -> None:
    """RestartAsked with hold, StopAsked, Requested: the new launch script is used."""
    world = ready()
    world.change(hold=True)
    world.feed(life.StopAsked(world.now))
    world.request()
    world.finish()

    assert world.processes[world.tenant.slot].launch == world.launch


def test_a_change_that_is_stopped_half_way_is_not_lost() -> None:
    """RestartAsked, StopAsked, Requested: the new launch script is used."""
    world = ready()
    world.change()
    world.feed(life.StopAsked(world.now))
    world.request()
    world.finish()

    assert world.processes[world.tenant.slot].launch == world.launch


def test_a_change_that_mends_a_failing_one_is_not_lost() -> None:
    """RestartAsked, RestartAsked, Exited: the second change is tried though the first one failed."""
    world = ready()
    world.change()
    world.change()
    world.end(1)
    world.finish()

    assert world.processes[world.tenant.slot].launch == world.launch


def test_a_long_good_run_forgets_failures() -> None:
    """Five failed starts, a day of service, a sleep: the next failure is the first in its row."""
    world = World(slots=2, prepares=False)
    for _ in range(5):
        world.now += 100
        world.request()
        world.end(0)
    world.now += 100
    world.request()
    world.answer(0)
    world.now += 86_400
    world.feed(life.StopAsked(world.now))
    world.finish()
    world.request()
    world.end(0)

    assert world.tenant.state is State.FAILED
    assert world.tenant.failures == 1


def test_losing_the_second_slot_during_a_restart_retires_the_old_process() -> None:
    """The edit to `restart: hold` comes while the process in slot 0 boots beside the one in slot 1."""
    world = ready()
    world.change()
    world.answer(1)
    world.end(0)
    world.change()
    world.tenant = replace(world.tenant, slots=1)
    world.answer(0)

    assert not world.processes[0].told_to_end
    assert world.processes[1].told_to_end


def test_a_request_that_waits_for_the_end_waits_for_the_new_program() -> None:
    """StopAsked, Drained, Requested, StopAsked with hold, Exited, Released: the request wakes it."""
    world = ready()
    world.feed(life.StopAsked(world.now))
    world.drained()
    world.request()
    world.replace()
    world.finish()

    assert not world.held
