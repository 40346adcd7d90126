"""What happens when two machines want the same tenant, or one of them does not know what the other one did."""

from __future__ import annotations

import time

from tests.system.machine import PATH
from tests.system.machines import World
from tests.system.running import wait_until
from tests.system.scenarios.base import MORE, writing
from tests.system.writer import Outcome, Writer, outcome

_OTHERS = 1_000_000  # the first row of a second writer


def both_at_once(world: World, pause: float) -> Outcome:
    """Both are started and asked at one moment. One has it, the other one refuses, and has it when the first stops."""
    world.a.launch(), world.b.launch()
    with Writer(world.a) as first, Writer(world.b, _OTHERS) as second:
        world.a.ready(), world.b.ready()
        wait_until(lambda: len(first.acknowledged) + len(second.acknowledged) > MORE and world.refused() > 0)
        time.sleep(pause)
    forked = min(len(first.acknowledged), len(second.acknowledged))
    winner, other = (world.a, world.b) if first.acknowledged else (world.b, world.a)
    winner.stop()
    return outcome(other.rows(), first, second, forked=forked)


def asleep_and_suspended(world: World, pause: float) -> Outcome:
    """The tenant falls asleep, its machine is suspended, another one goes on, and the suspended one is destroyed."""
    with writing(world, pause) as writer:
        writer.stop()
        wait_until(world.is_released)
        world.a.suspend()
        with Writer(world.b, _OTHERS) as other:
            other.wait_for(MORE)
        world.a.destroy()
        return outcome(world.b.rows(), writer, other)


def suspended_then_destroyed(world: World, pause: float) -> Outcome:
    """A machine is suspended while it is written to, and never resumed."""
    with writing(world, pause) as writer:
        world.a.suspend()
        world.b.wake()
        world.a.destroy()
        writer.stop()
        return outcome(world.b.rows(), writer)


def suspended_and_resumed(world: World, pause: float) -> Outcome:
    """A machine is suspended while it is written to, another one takes over, and the first goes on where it was.

    What it acknowledges from then on is forked: it is not in the databases that the other one has.
    """
    with writing(world, pause) as writer:
        world.a.suspend()
        with Writer(world.b, _OTHERS) as other:
            other.wait_for(MORE)
            since = min(other.acknowledged.values())
            world.a.resume()
            wait_until(lambda: world.a.asked(PATH)[0] == 503)
            writer.stop()
            other.wait_for(MORE)
    world.b.stop()
    wait_until(world.is_released)
    said = world.a.rows()
    forked = writer.forget(since, said["rows"])
    return outcome(said, writer, other, forked=forked)
