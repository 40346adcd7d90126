"""Databases are not lost, whatever ends: one run of each scenario, and what is not a matter of rows."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from atcgen.system.processes import runs
from tests.system import scenarios
from tests.system.machines import PATH, PROGRAM, Settings, World, Writer, is_stable, killed, outcome, world
from tests.system.running import free_port, wait_until
from tests.system.scenarios import Scenario

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


@pytest.mark.parametrize("scenario", scenarios.ALL, ids=[each.run.__name__ for each in scenarios.ALL])
def test_nothing_is_lost_but_the_last_moment_of_what_is_destroyed(scenario: Scenario) -> None:
    """What was acknowledged is there afterwards, in an intact database, and nobody is left over."""
    with world(scenario.settings) as made:
        found = scenario.run(made, 0.7)

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
        found = scenarios.application_killed(made, 0.3)

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


def test_machines_that_begin_at_once_do_not_fork(pair: World) -> None:
    """Whoever is quicker has it; what both were sent is in one database."""
    with Writer(pair.a) as first, Writer(pair.b, 1_000_000) as second:
        wait_until(lambda: len(first.acknowledged) + len(second.acknowledged) > 100)
        assert not (first.acknowledged and second.acknowledged)
    winner, other = (pair.a, pair.b) if first.acknowledged else (pair.b, pair.a)
    winner.stop()

    said = other.rows()
    assert (first.acknowledged | second.acknowledged).keys() <= set(said["rows"])


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


def test_a_lease_that_cannot_be_renewed_stops_the_application(pair: World) -> None:
    """After two thirds of its time, before anybody else may begin; when the store is back, nothing is lost."""
    with Writer(pair.a) as writer:
        writer.wait_for(50)
        pair.wait_until_published()
        application = pair.a.pid()
        with pair.outage():
            began = time.monotonic()
            wait_until(lambda: not runs(application))
            assert time.monotonic() - began < 3
            writer.stop()
            assert pair.a.asked(PATH)[0] == 503
    wait_until(pair.is_released)  # by itself, without a request

    found = outcome(writer, pair.b.rows())
    assert (found.lost, found.invented, found.integrity) == (0, 0, "ok"), found


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

    assert outcome(writer, pair.b.rows()).lost == 0


@pytest.mark.parametrize("lease", ["3s", "30s"])
def test_a_store_that_is_away_at_the_stop_is_waited_for(lease: str) -> None:
    """Longer than the lease lasts, or shorter: the databases are given back when it is there again."""
    with world(Settings(lease=lease)) as made:
        made.a.launch(), made.b.launch()
        made.a.ready()
        made.b.ready()
        with Writer(made.a) as writer:
            writer.wait_for(50)
        made.wait_until_published()
        with made.outage():
            made.a.stop()
            time.sleep(4)  # longer than the shorter lease
        wait_until(made.is_released, 60)

        assert outcome(writer, made.b.rows()).lost == 0


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


def _rest(made: World, rows: int = 40) -> None:
    """Rows in the store alone: a had them, and is destroyed."""
    for number in range(rows):
        assert made.a.add(number)
    made.wait_until_published()
    made.a.stop()
    wait_until(made.is_released)
    made.a.destroy()


@pytest.mark.parametrize("damage", ["truncated", "missing"])
def test_a_damaged_replica_starts_nothing(pair: World, damage: str) -> None:
    """No empty database takes its place, the reason is shown, and it starts when the damage is mended."""
    _rest(pair)
    last = pair.objects()[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2]) if damage == "truncated" else last.unlink()

    assert pair.b.asked(PATH)[0] == 503
    assert "db.sqlite3" in pair.b.status()["reason"]
    assert not list(pair.b.data.glob("*.sqlite3*"))
    assert not list(pair.b.data.glob(".restoring-*"))
    assert pair.is_released()
    last.write_bytes(whole)
    assert len(pair.b.rows()["rows"]) == 40


def test_everything_missing_starts_nothing(pair: World) -> None:
    """The lease says that there was something."""
    _rest(pair, 3)
    shutil.rmtree(pair.store / f"tenants/{PROGRAM}" / pair.lease()["path"])

    assert pair.b.asked(PATH)[0] == 503
    assert "missing" in pair.b.status()["reason"]


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


@contextmanager
def _small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_leaves_nothing_behind() -> None:
    """The restore fails with a reason; with room it works."""
    with world() as made:
        written = _rest_of(made, rows=2000)
        try:
            with _small_disk(made.b.home / "data", "64k"):
                made.b.start()
                assert made.b.asked(PATH)[0] == 503
                assert made.b.status()["reason"]
                left = [each for each in made.b.data.rglob("*") if each.is_file() and each.stat().st_size]
                assert not left, left
                made.b.end()
        except subprocess.CalledProcessError as problem:
            pytest.skip(f"cannot mount a small disk: {problem}")
        made.b.start()
        assert written <= set(made.b.rows()["rows"])


def _rest_of(made: World, rows: int) -> set[int]:
    made.a.start().wake()
    with Writer(made.a) as writer:
        writer.wait_for(rows, 60)
    made.a.stop()
    wait_until(made.is_released)
    made.a.end()
    return set(writer.acknowledged)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server that speaks S3: its address, and the directory of its only bucket."""
    rclone = Path(sys.executable).with_name("rclone")
    if not rclone.exists():
        pytest.skip("rclone is not installed")
    objects = tmp_path / "objects" / "bucket"
    objects.mkdir(parents=True)
    port = free_port()
    words = [
        str(rclone),
        "serve",
        "s3",
        "--config",
        "/dev/null",
        "--auth-key",
        "testkey,right",
    ]
    with open(tmp_path / "rclone.log", "wb") as log:
        process = subprocess.Popen([*words, "--addr", f"127.0.0.1:{port}", str(objects.parent)], stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(port))
        yield f"http://127.0.0.1:{port}", objects
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _on_s3(endpoint: str, secret: str) -> Settings:
    keys = {"AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": secret}
    return Settings(replica="s3://bucket/here", storage=f"endpoint: '{endpoint}'", environ=keys)


def test_a_move_by_way_of_s3(bucket: tuple[str, Path]) -> None:
    """Nothing is lost, and the application has no key of the store."""
    endpoint, objects = bucket
    with world(_on_s3(endpoint, "right")) as made:
        made.a.launch(), made.b.launch()
        made.a.ready().wake()
        made.b.ready()
        with Writer(made.a) as writer:
            writer.wait_for(100)
        for pid, has_keys in ((made.a.pid(), False), (made.a.litestream(), True)):
            assert (b"AWS_SECRET_ACCESS_KEY" in Path(f"/proc/{pid}/environ").read_bytes()) is has_keys
        made.a.stop()
        lease = objects / f"here/tenants/{PROGRAM}/lease.json"
        wait_until(lambda: not json.loads(lease.read_text())["held"])

        found = outcome(writer, made.b.rows())
        assert (found.lost, found.invented, found.integrity) == (0, 0, "ok"), found


def test_keys_that_are_refused_start_nothing(bucket: tuple[str, Path]) -> None:
    """The reason is shown, without the key, and no database is made."""
    endpoint, objects = bucket
    with world(_on_s3(endpoint, "wrong-secret")) as made:
        made.a.start()

        assert made.a.asked(PATH)[0] == 503
        assert "forbidden" in made.a.status()["reason"]
        assert "wrong-secret" not in made.a.atc.log()
        assert not (made.a.data / "db.sqlite3").exists()
        assert not list(objects.rglob("*.json"))
