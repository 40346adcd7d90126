"""What happens to machines that share a store while somebody writes. `pause` is how long that goes on undisturbed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.system.machines import Machine, Outcome, Settings, World, Writer, killed, outcome
from tests.system.running import wait_until

SYNC = 0.1
_MORE = 40  # rows that are acknowledged after something happened


@dataclass(frozen=True)
class Scenario:
    """`bound` is how many seconds of acknowledged rows may be lost."""

    name: str
    run: Callable[[World, float], Outcome]
    bound: float = 0.0
    settings: Settings = Settings()  # noqa: RUF009 - it is frozen


@contextmanager
def _writing(world: World, pause: float) -> Iterator[Writer]:
    """Machines a and b run, and a is written to."""
    world.a.launch(), world.b.launch()
    world.a.ready().wake()
    world.b.ready()
    with Writer(world.a) as writer:  # from now on, for a tenant that nobody uses may fall asleep again
        writer.wait_for(1)
        world.wait_until_published()
        time.sleep(pause)
        yield writer


def _moved(world: World, writer: Writer, *, source: Machine | None = None, target: Machine | None = None) -> Outcome:
    """Stop the tenant, in order, and start it elsewhere."""
    writer.stop()
    (source or world.a).stop()
    return outcome(writer, (target or world.b).rows())


def stop_and_move(world: World, pause: float) -> Outcome:
    """`atc stop`, then the other machine."""
    with _writing(world, pause) as writer:
        return _moved(world, writer)


def end_of_the_machine(world: World, pause: float) -> Outcome:
    """SIGTERM of atc, under load."""
    with _writing(world, pause) as writer:
        world.a.end()
        writer.stop()
        assert world.is_released()
        return outcome(writer, world.b.rows())


def idle_then_destroyed(world: World, pause: float) -> Outcome:
    """The tenant falls asleep, then its machine is destroyed."""
    with _writing(world, pause) as writer:
        writer.stop()
        wait_until(world.is_released)
        world.a.destroy()
        return outcome(writer, world.b.rows())


def there_and_back(world: World, pause: float) -> Outcome:
    """From a to b and back to a, which still has its old files."""
    with _writing(world, pause) as writer:
        writer.stop()
        world.a.stop()
        wait_until(world.is_released)
        world.b.wake()
        writer.go_on(world.b)
        writer.wait_for(_MORE)
        return _moved(world, writer, source=world.b, target=world.a)


def application_killed(world: World, pause: float) -> Outcome:
    """SIGKILL of the application; it starts again where it was, is written to, and moves."""
    with _writing(world, pause) as writer:
        killed(world.a.pid())
        writer.wait_for(_MORE)
        return _moved(world, writer)


def application_killed_then_destroyed(world: World, pause: float) -> Outcome:
    """SIGKILL of the application; it starts again, is copied again, and then its machine is destroyed."""
    with _writing(world, pause) as writer:
        before = world.lease()["path"]
        killed(world.a.pid())
        writer.wait_for(_MORE)
        world.wait_until_published(before)
        writer.wait_for(_MORE)
        world.a.destroy()
        writer.stop()
        return outcome(writer, world.b.rows())


def litestream_killed(world: World, pause: float) -> Outcome:
    """SIGKILL of litestream; another one copies to another path, and the tenant moves."""
    with _writing(world, pause) as writer:
        before = world.lease()["path"]
        killed(world.a.litestream())
        world.wait_until_published(before)
        writer.wait_for(_MORE)
        return _moved(world, writer)


def agent_killed(world: World, pause: float) -> Outcome:
    """SIGKILL of the agent; the next one goes on with the lease and the same copies."""
    with _writing(world, pause) as writer:
        lease, begun = world.lease(), world.a.log_has("agent.ready")
        os.kill(world.a.atc.pid_of("atc-agent:0"), signal.SIGKILL)
        wait_until(lambda: world.a.log_has("agent.ready") > begun)
        wait_until(lambda: world.lease()["nonce"] != lease["nonce"])
        writer.wait_for(_MORE)
        assert (world.lease()["epoch"], world.lease()["held"]) == (lease["epoch"], True)
        return _moved(world, writer)


def everything_killed(world: World, pause: float) -> Outcome:
    """The machine is destroyed, and the other one takes over."""
    with _writing(world, pause) as writer:
        world.a.destroy()
        writer.stop()
        return outcome(writer, world.b.rows())


def everything_killed_same_again(world: World, pause: float) -> Outcome:
    """SIGKILL of everything; the same machine comes again with its files, and the tenant moves."""
    with _writing(world, pause) as writer:
        world.a.crash()
        writer.stop()
        world.a.start()
        at_home = outcome(writer, world.a.rows())
        assert (at_home.lost, at_home.invented) == (0, 0), at_home
        return _moved(world, writer)


def short_outage(world: World, pause: float) -> Outcome:
    """The store is away for less than the lease lasts: the application goes on."""
    with _writing(world, pause) as writer:
        before = world.a.pid()
        with world.outage():
            writer.wait_for(_MORE)
            time.sleep(pause)
        writer.wait_for(_MORE)
        assert world.a.pid() == before
        return _moved(world, writer)


ALL = (
    Scenario("atc stop, then elsewhere", stop_and_move),
    Scenario("SIGTERM of the machine", end_of_the_machine),
    Scenario("asleep, then destroyed", idle_then_destroyed, settings=Settings(idle="1s")),
    Scenario("there and back", there_and_back),
    Scenario("application killed", application_killed),
    Scenario("application killed, then destroyed", application_killed_then_destroyed, SYNC + 0.6),
    Scenario("litestream killed", litestream_killed),
    Scenario("agent killed", agent_killed),
    Scenario("everything killed, elsewhere", everything_killed, SYNC + 0.6),
    Scenario("everything killed, same machine", everything_killed_same_again),
    Scenario("store away for a while", short_outage, settings=Settings(lease="20s")),
)
