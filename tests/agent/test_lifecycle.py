"""The life of a tenant, event by event."""

from __future__ import annotations

from atcgen.agent import lifecycle as life
from atcgen.agent.lifecycle import State, Tenant, step


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
