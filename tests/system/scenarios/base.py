"""What scenarios have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.system.machine import PATH, Machine
from tests.system.machines import Settings, World, world
from tests.system.running import wait_until
from tests.system.writer import Outcome, Writer, outcome

SYNC = 0.1
MORE = 40  # rows that are acknowledged after something happened


@dataclass(frozen=True)
class Scenario:
    """What happens to machines that share a store while somebody writes.

    `bound` is how many seconds of acknowledged rows may be lost.
    """

    name: str
    act: Callable[[World, float], Outcome]
    bound: float = 0.0
    settings: Settings = Settings()  # noqa: RUF009 - it is frozen
    is_long: bool = False  # not for every run of the tests

    def run(self, pause: float) -> Outcome:
        """In a world of its own; `pause` is how long the writer goes on undisturbed."""
        with world(self.settings) as made:
            return self.run_in(made, pause)

    def run_in(self, made: World, pause: float) -> Outcome:
        """In a world that is there."""
        found = self.act(made, pause)
        return replace(found, refused=made.refused())


@contextmanager
def writing(world: World, pause: float) -> Iterator[Writer]:
    """Machines a and b run, and a is written to."""
    world.a.launch(), world.b.launch()
    world.a.ready().wake()
    world.b.ready()
    with Writer(world.a) as writer:  # from now on, for a tenant that nobody uses may fall asleep again
        writer.wait_for(1)
        world.wait_until_published()
        time.sleep(pause)
        yield writer


def moved(world: World, writer: Writer, *, source: Machine | None = None, target: Machine | None = None) -> Outcome:
    """Stop the tenant, in order, and start it elsewhere."""
    writer.stop()
    (source or world.a).stop()
    return outcome((target or world.b).rows(), writer)


def at_rest(world: World, pause: float, rows: int = MORE) -> Writer:
    """What was acknowledged is in the store alone: a had it, and is destroyed. Machine b runs."""
    with writing(world, pause) as writer:
        writer.wait_for(rows)
        writer.stop()
        world.a.stop()
        wait_until(world.is_released)
        world.a.destroy()
        return writer


def is_refused(world: World, machine: Machine, words: str) -> None:
    """The tenant does not start, says why, and there is no database, new or old or half of one, in its place."""
    before = world.lease()["path"]
    assert machine.asked(PATH)[0] == 503
    assert words in machine.status()["reason"], machine.status()
    left = [each for each in machine.data.rglob("*") if each.is_file() and each.stat().st_size]
    assert not left + list(machine.data.glob(".restoring-*")), left
    assert world.lease()["path"] == before
    wait_until(world.is_released)
