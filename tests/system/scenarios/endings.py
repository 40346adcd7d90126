"""What ends while somebody writes: a tenant, its machine, or one of the processes."""

from __future__ import annotations

import os
import signal

from tests.system.freezing import killed
from tests.system.machines import World
from tests.system.running import wait_until
from tests.system.scenarios.base import MORE, moved, writing
from tests.system.writer import Outcome, outcome


def stop_and_move(world: World, pause: float) -> Outcome:
    """`atc stop`, then the other machine."""
    with writing(world, pause) as writer:
        return moved(world, writer)


def end_of_the_machine(world: World, pause: float) -> Outcome:
    """SIGTERM of atc, under load."""
    with writing(world, pause) as writer:
        world.a.end()
        writer.stop()
        assert world.is_released()
        return outcome(world.b.rows(), writer)


def idle_then_destroyed(world: World, pause: float) -> Outcome:
    """The tenant falls asleep, then its machine is destroyed."""
    with writing(world, pause) as writer:
        writer.stop()
        wait_until(world.is_released)
        world.a.destroy()
        return outcome(world.b.rows(), writer)


def there_and_back(world: World, pause: float) -> Outcome:
    """From a to b and back to a, which still has its old files."""
    with writing(world, pause) as writer:
        writer.stop()
        world.a.stop()
        wait_until(world.is_released)
        world.b.wake()
        writer.go_on(world.b)
        writer.wait_for(MORE)
        return moved(world, writer, source=world.b, target=world.a)


def application_killed(world: World, pause: float) -> Outcome:
    """SIGKILL of the application; it starts again where it was, is written to, and moves."""
    with writing(world, pause) as writer:
        killed(world.a.pid())
        writer.wait_for(MORE)
        return moved(world, writer)


def application_killed_then_destroyed(world: World, pause: float) -> Outcome:
    """SIGKILL of the application; it starts again, is copied again, and then its machine is destroyed."""
    with writing(world, pause) as writer:
        before = world.lease()["path"]
        killed(world.a.pid())
        writer.wait_for(MORE)
        world.wait_until_published(before)
        writer.wait_for(MORE)
        world.a.destroy()
        writer.stop()
        return outcome(world.b.rows(), writer)


def litestream_killed(world: World, pause: float) -> Outcome:
    """SIGKILL of litestream; another one copies to another path, and the tenant moves."""
    with writing(world, pause) as writer:
        before = world.lease()["path"]
        killed(world.a.litestream())
        world.wait_until_published(before)
        writer.wait_for(MORE)
        return moved(world, writer)


def agent_killed(world: World, pause: float) -> Outcome:
    """SIGKILL of the agent; the next one goes on with the lease and the same copies."""
    with writing(world, pause) as writer:
        lease, begun = world.lease(), world.a.log_has("agent.ready")
        os.kill(world.a.atc.pid_of("atc-agent:0"), signal.SIGKILL)
        wait_until(lambda: world.a.log_has("agent.ready") > begun)
        wait_until(lambda: world.lease()["nonce"] != lease["nonce"])
        writer.wait_for(MORE)
        assert (world.lease()["epoch"], world.lease()["held"]) == (lease["epoch"], True)
        return moved(world, writer)


def everything_killed(world: World, pause: float) -> Outcome:
    """The machine is destroyed, and the other one takes over."""
    with writing(world, pause) as writer:
        world.a.destroy()
        writer.stop()
        return outcome(world.b.rows(), writer)


def everything_killed_same_again(world: World, pause: float) -> Outcome:
    """SIGKILL of everything; the same machine comes again with its files, and the tenant moves."""
    with writing(world, pause) as writer:
        world.a.crash()
        writer.stop()
        world.a.start()
        at_home = outcome(world.a.rows(), writer)
        assert (at_home.lost, at_home.invented) == (0, 0), at_home
        return moved(world, writer)
