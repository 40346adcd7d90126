"""What happens when the store is away, is damaged or says no, or when there is no room for what it has."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from atcgen.system.processes import runs
from tests.system.machine import PATH, PROGRAM
from tests.system.machines import CannotBe, World
from tests.system.running import wait_until
from tests.system.scenarios.base import MORE, at_rest, is_refused, moved, writing
from tests.system.writer import Outcome, outcome

_MINUTE = 60.0
_SMALL, _LARGE = "48k", "64m"
_MORE_THAN_SMALL = 500  # rows


def away(world: World, pause: float) -> Outcome:
    """The store is away for less than a third of the lease: the application goes on, and copies catch up."""
    return _away(world, pause, world.outage())


def unmounted(world: World, pause: float) -> Outcome:
    """As `away`, with an empty directory in its place: nobody takes it for the store, or makes anything in it."""
    found = _away(world, pause, world.unmounted())
    assert not list((world.directory / "nothing mounted").iterdir())
    return found


def _away(world: World, pause: float, outage: AbstractContextManager[None]) -> Outcome:
    with writing(world, pause) as writer:
        before = world.a.pid()
        with outage:
            writer.wait_for(MORE)
            time.sleep(pause)
        writer.wait_for(MORE)
        assert world.a.pid() == before
        return moved(world, writer)


def away_for_a_minute(world: World, pause: float) -> Outcome:
    """As `away`; most of what is written is written meanwhile."""
    return away(world, _MINUTE + pause)


def away_for_longer_than_the_lease(world: World, pause: float) -> Outcome:
    """The application is stopped and refused; when the store is back, it is given back by itself."""
    with writing(world, pause) as writer:
        application = world.a.pid()
        with world.outage():
            began = time.monotonic()
            wait_until(lambda: not runs(application))
            assert time.monotonic() - began < 3  # before anybody else may begin
            writer.stop()
            assert world.a.asked(PATH)[0] == 503
        wait_until(world.is_released)
        return outcome(world.b.rows(), writer)


def away_at_the_stop(world: World, pause: float) -> Outcome:
    """The tenant is stopped meanwhile; what was not copied is when the store is back."""
    with writing(world, pause) as writer:
        with world.outage():
            writer.wait_for(MORE)
            writer.stop()
            world.a.stop()
            wait_until(lambda: world.a.log_has("replica.not_settled") > 0)
        wait_until(world.is_released, 60)
        return outcome(world.b.rows(), writer)


def away_at_the_stop_for_long(world: World, pause: float) -> Outcome:
    """As `away_at_the_stop`, until the lease has run out."""
    with writing(world, pause) as writer:
        writer.stop()
        with world.outage():
            world.a.stop()
            wait_until(lambda: world.a.log_has("lease.lost") > 0)
        wait_until(world.is_released, 60)
        return outcome(world.b.rows(), writer)


def no_room(world: World, pause: float) -> Outcome:
    """The disk is full while databases are restored: nothing starts, and nothing is left. With room it does."""
    with _small_disk(world.b.home / "data"):
        writer = at_rest(world, pause, _MORE_THAN_SMALL)
        is_refused(world, world.b, "")
        _mount(world.b.home / "data", f"remount,size={_LARGE}")
        found = outcome(world.b.rows(), writer)
        world.b.end()
        return found


@contextmanager
def _small_disk(place: Path) -> Iterator[None]:
    if os.geteuid():
        raise CannotBe("only root may mount a small disk")
    place.mkdir(parents=True, exist_ok=True)
    _mount(place, f"size={_SMALL}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _mount(place: Path, options: str) -> None:
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(place)], check=False, capture_output=True)
    if done.returncode:
        raise CannotBe(f"cannot mount a small disk: {done.stderr.decode().strip()}")


def truncated(world: World, pause: float) -> Outcome:
    """A change that the copy had lacks its end."""
    return _damaged(world, pause, lambda each: os.truncate(each, random.randrange(each.stat().st_size)))


def missing(world: World, pause: float) -> Outcome:
    """A change that the copy had is gone."""
    return _damaged(world, pause, Path.unlink)


def _damaged(world: World, pause: float, damage: Callable[[Path], object]) -> Outcome:
    """Nothing starts; when what was damaged is whole again, it does."""
    writer = at_rest(world, pause)
    whole = {each: each.read_bytes() for each in world.copies_of_some_change()}
    for each in whole:
        damage(each)
    is_refused(world, world.b, "db.sqlite3")
    for each, body in whole.items():
        each.write_bytes(body)
    return outcome(world.b.rows(), writer)


def everything_missing(world: World, pause: float) -> Outcome:
    """The whole copy is gone: the lease says that there was something."""
    writer = at_rest(world, pause)
    place = world.store / f"tenants/{PROGRAM}" / world.lease()["path"]
    place.rename(world.directory / "copy")
    is_refused(world, world.b, "missing")
    (world.directory / "copy").rename(place)
    return outcome(world.b.rows(), writer)


def wrong_keys(world: World, pause: float) -> Outcome:
    """Nothing starts with keys that the store refuses, and no log says them; with the right ones it does."""
    right, wrong = world.b.environ, "no-such-secret"
    world.b.environ = {**right, "AWS_SECRET_ACCESS_KEY": wrong}
    writer = at_rest(world, pause)
    is_refused(world, world.b, "forbidden")
    assert wrong not in world.b.atc.log()
    world.b.end()
    world.b.environ = right
    world.b.start()
    return outcome(world.b.rows(), writer)
