"""Databases are not lost, whatever ends: one run of each scenario, and what is not a matter of rows."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from atcgen.system.processes import runs
from tests.system import scenarios
from tests.system.freezing import is_stable, killed
from tests.system.machine import PATH, PROGRAM
from tests.system.machines import CannotBe, Settings, World, world
from tests.system.running import wait_until
from tests.system.scenarios import endings
from tests.system.scenarios.base import Scenario
from tests.system.writer import Writer, outcome

pytestmark = pytest.mark.system

_MACHINE_IS_BUSY = 0.8  # seconds; the benchmark measures without


@pytest.fixture
def pair() -> Iterator[World]:
    """Two machines that share a store; a runs the tenant."""
    with world() as made:
        made.a.launch(), made.b.launch()
        made.a.ready()
        made.b.ready()
        yield made


@contextmanager
def _world(settings: Settings | None = None) -> Iterator[World]:
    with ExitStack() as stack:
        try:
            made = stack.enter_context(world(settings))
        except CannotBe as problem:
            pytest.skip(str(problem))
        yield made


_SHORT = [each for each in scenarios.ALL if not each.is_long]


@pytest.mark.parametrize("scenario", _SHORT, ids=[each.act.__name__ for each in _SHORT])
def test_nothing_is_lost_but_the_last_moment_of_what_is_destroyed(scenario: Scenario) -> None:
    """What was acknowledged is there afterwards, in an intact database, and nobody is left over."""
    with _world(scenario.settings) as made:
        try:
            found = scenario.run_in(made, 0.7)
        except CannotBe as problem:
            pytest.skip(str(problem))

        assert (found.integrity, found.invented, found.holes) == ("ok", 0, 0), found
        assert found.seconds <= (scenario.bound + _MACHINE_IS_BUSY if scenario.bound else 0), found
        assert scenario.bound or found.lost == 0
        for each in (made.a, made.b):
            each.end()
            with suppress(AssertionError):
                wait_until(lambda each=each: not each.leftovers(), 15)  # type: ignore[misc]
            assert each.leftovers() == []


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
def test_an_application_may_have_its_own_modes(journal: str, synchronous: str) -> None:
    """Killed, started again, moved: nothing is lost."""
    with world(Settings(journal=journal, synchronous=synchronous)) as made:
        found = endings.application_killed(made, 0.3)

        assert (found.integrity, found.invented, found.lost) == ("ok", 0, 0), found


def test_old_files_are_set_aside_and_not_used(pair: World) -> None:
    """After a move there and back, the first machine has its old databases in a directory of their own."""
    assert pair.a.add(1)
    pair.a.stop()
    wait_until(lambda: pair.b.add(2))
    pair.b.stop()

    assert pair.a.rows()["rows"] == [1, 2]
    assert len(list(pair.a.data.glob(".stale-*/db.sqlite3"))) == 1


def test_only_one_of_two_machines_serves_a_tenant(pair: World) -> None:
    """The other one answers 503 and says who has it, and never runs its application."""
    pair.a.wake()

    assert pair.b.asked(PATH)[0] == 503
    assert pair.b.status()["state"] == "failed"
    assert pair.b.status()["reason"].startswith("a has it")
    assert is_stable(lambda: pair.b.pid() == 0 and pair.b.asked(PATH)[0] == 503 and pair.a.pid() > 0, 4)
    assert not (pair.b.data / "db.sqlite3").exists()


def test_a_machine_that_is_gone_is_followed_after_the_time_of_its_lease(pair: World) -> None:
    """Not before, and not much later."""
    assert pair.a.add(1)
    pair.wait_until_published()
    pair.b.asked(PATH)  # from now on b knows of the lease
    pair.a.destroy()
    began = time.monotonic()

    pair.b.wake()

    assert 1.5 < time.monotonic() - began < 3 + 2 * _MACHINE_IS_BUSY


def test_a_litestream_that_dies_again_and_again_is_replaced_each_time(pair: World) -> None:
    """Every time by another path."""
    pair.a.wake()
    paths = [pair.wait_until_published()]
    for _ in range(4):
        wait_until(lambda: pair.a.litestream() > 0)
        killed(pair.a.litestream())
        paths.append(pair.wait_until_published(paths[-1]))

    assert len(set(paths)) == 5
    assert pair.a.add(1)
    pair.a.stop()
    assert pair.b.rows()["rows"] == [1]


def test_an_agent_killed_at_any_moment_of_a_start_leaves_copies_that_go_on(pair: World) -> None:
    """Whatever it was doing, afterwards the tenant is copied."""
    known: list[int] = []
    for number in range(6):
        with Writer(pair.a, number * 1000 + 1) as writer:
            time.sleep(number * 0.04)
            os.kill(pair.a.atc.pid_of("atc-agent:0"), signal.SIGKILL)
            writer.wait_for(30)
        known += writer.acknowledged
        path = pair.wait_until_published()
        wait_until(lambda: pair.a.litestream() > 0)
        assert path in Path(pair.a.home, f".atc/run/replica/{PROGRAM}/litestream.yml").read_text()
        pair.a.stop()
        wait_until(pair.is_released)

    assert set(known) <= set(pair.b.rows()["rows"])


def test_a_store_that_hangs_stops_the_application_too(pair: World) -> None:
    """A renewal that is not answered is no renewal."""
    with Writer(pair.a) as writer:
        writer.wait_for(50)
        pair.wait_until_published()
        application = pair.a.pid()
        with open(pair.store / ".atc-lock", "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            began = time.monotonic()
            wait_until(lambda: not runs(application))
            assert time.monotonic() - began < 3
            writer.stop()
    wait_until(pair.is_released)

    assert outcome(pair.b.rows(), writer).lost == 0


def test_a_lease_that_cannot_be_given_back_is_given_back_later() -> None:
    """Everything was copied before the store went away; nobody has to wait until the lease runs out."""
    with world(Settings(lease="1h")) as made:
        made.a.start()
        assert made.a.add(1)
        made.wait_until_published()
        with made.outage():
            made.a.stop()
            wait_until(lambda: made.a.log_has("lease.not_released") + made.a.log_has("replica.not_settled") > 0)
        wait_until(made.is_released)

        assert made.b.start().rows()["rows"] == [1]


def test_who_is_started_again_while_the_last_copy_fails_keeps_its_lease() -> None:
    """What goes on in the background after a stop must not take a tenant's databases away that is up again."""
    with world(Settings(lease="1m")) as made:
        made.a.start()
        assert made.a.add(1)
        made.wait_until_published()
        with made.outage():
            assert made.a.add(2)
            made.a.stop()
            wait_until(lambda: made.a.log_has("replica.not_settled") > 0)
            made.a.wake()
        path = made.lease()["path"]
        made.wait_until_published(path)
        assert is_stable(lambda: made.lease()["held"] and made.a.litestream() > 0, 6)
        assert made.a.add(3)
        made.a.stop()
        made.b.start()
        assert made.b.rows()["rows"] == [1, 2, 3]


def test_an_empty_store_is_not_taken_for_the_right_one(pair: World) -> None:
    """The databases are gone, what says that there were some is here, and the store knows nothing."""
    assert pair.a.add(1)
    pair.wait_until_published()
    pair.a.stop()
    wait_until(pair.is_released)
    shutil.rmtree(pair.store / "tenants")
    for each in pair.a.data.glob("db.sqlite3*"):
        each.unlink()

    assert pair.a.asked(PATH)[0] == 503
    assert "right store" in pair.a.status()["reason"]
    assert not (pair.a.data / "db.sqlite3").exists()


def test_a_claim_that_fails_here_does_not_make_the_copies_here_look_old(pair: World) -> None:
    """Whatever kept the application from starting, the databases are still used when it does."""
    assert pair.a.add(1)
    pair.wait_until_published()
    pair.a.stop()
    wait_until(pair.is_released)
    database = pair.a.data / "db.sqlite3"
    (pair.a.data / "db.sqlite3-wal").mkdir()  # so that it cannot be opened
    assert pair.a.asked(PATH)[0] == 503
    (pair.a.data / "db.sqlite3-wal").rmdir()
    before = database.stat().st_ino

    assert pair.a.rows()["rows"] == [1]
    assert database.stat().st_ino == before
    assert not list(pair.a.data.glob(".stale-*"))


def test_a_move_by_way_of_s3() -> None:
    """Nothing is lost, and the application has no key of the store."""
    with _world(Settings(s3=True)) as made:
        made.a.launch(), made.b.launch()
        made.a.ready().wake()
        made.b.ready()
        with Writer(made.a) as writer:
            writer.wait_for(100)
        for pid, has_keys in ((made.a.pid(), False), (made.a.litestream(), True)):
            assert (b"AWS_SECRET_ACCESS_KEY" in Path(f"/proc/{pid}/environ").read_bytes()) is has_keys
        made.a.stop()
        wait_until(made.is_released)

        found = outcome(made.b.rows(), writer)
        assert (found.lost, found.is_one_history) == (0, True), found
