"""A release is another directory: tenants move to it one by one, and stay where they are when it does not start."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.system.clients import Hammering
from tests.system.running import APPLICATION, Atc, running, wait_until

pytestmark = pytest.mark.system

_FAILS = "import os, sys\nif os.environ['OWNER'] == 'a/y': sys.exit('no such column')\n"
_THREE = "idle: 1h\nusers: {a: {tenants: {x: {}, y: {}, z: {}}}}\n"


@pytest.fixture
def atc() -> Iterator[Atc]:
    """Three tenants in the first of three directories; in the last one a/y does not start."""
    with running(_THREE) as atc:
        for name, above in (("one", ""), ("two", ""), ("bad", _FAILS)):
            directory = atc.home / name
            directory.mkdir()
            source = APPLICATION.read_text().replace("from __future__ import annotations\n", "")
            (directory / "application.py").write_text(f"from __future__ import annotations\n{above}{source}")
        atc.cli("release", "one")
        yield atc


def directory_of(atc: Atc, tenant: str) -> str:
    """Where the process that answers for a tenant was started; '' for one that ends just now."""
    with suppress(OSError):
        return Path(os.readlink(f"/proc/{atc.pid(f'/{tenant}/')}/cwd")).name
    return ""


def wait_for(atc: Atc, x: str, y: str, z: str) -> None:
    """Wait until that is where tenants are: nginx may use connections to an old process for a moment."""
    wait_until(lambda: [directory_of(atc, each) for each in ("a/x", "a/y", "a/z")] == [x, y, z])


def test_tenants_move_without_a_lost_request(atc: Atc) -> None:
    """Those that are awake one by one; one that sleeps is not woken for it."""
    atc.pid("/a/x/")
    atc.pid("/a/y/")
    atc.cli("stop", "a/z")
    starts = atc.starts("a/z")
    with Hammering(atc.port, "/a/x/", clients=8) as hammering:
        said = atc.cli("release", "two").stdout.splitlines()

    assert hammering.answered > 100
    assert hammering.failures == []
    assert said[-1] == "every tenant runs the new release"
    assert "  root: two\n" in (atc.home / "atc.yml").read_text()
    assert atc.starts("a/z") == starts
    wait_for(atc, "two", "two", "two")


def test_the_first_that_does_not_start_stops_it(atc: Atc) -> None:
    """It goes back, the rest stay; mended, the same command goes on."""
    for each in "xyz":
        atc.pid(f"/a/{each}/")
    before = atc.pid("/a/z/")
    with Hammering(atc.port, "/a/y/", clients=4) as hammering:
        said = atc.cli("release", "bad", check=False)

    assert hammering.failures == []
    assert said.returncode == 3
    assert "a/y: " in said.stderr
    wait_for(atc, "bad", "one", "one")
    assert atc.pid("/a/z/") == before
    assert "the release stopped, 2 tenants" in atc.cli("status").stdout

    shutil.copy(APPLICATION, atc.home / "bad")
    atc.cli("release", "bad")

    wait_for(atc, "bad", "bad", "bad")
    assert not (atc.home / ".atc/roots.json").exists()


def test_the_old_directory_brings_everybody_back(atc: Atc) -> None:
    """Also those that had moved."""
    for each in "xyz":
        atc.pid(f"/a/{each}/")
    atc.cli("release", "bad", check=False)

    atc.cli("release", "one")

    wait_for(atc, "one", "one", "one")
    assert atc.status()["release"] == {"rolling": False, "held": [], "problem": ""}


def test_a_failed_migration_stops_it_and_the_old_release_serves_again(atc: Atc) -> None:
    """Nobody is up for as long as its databases are prepared."""
    atc.edit("  start: ", "  prepare: sh prepare.sh ${tenant.id}\n  start: ")
    for name in ("one", "two"):
        (atc.home / name / "prepare.sh").write_text("")
    (atc.home / "bad/prepare.sh").write_text('[ "$1" != a/y ]\n')
    (atc.home / "bad/application.py").write_text((atc.home / "two/application.py").read_text())
    wait_until(lambda: "prepare.sh" in str(atc.plan().tenants[0].prepare))
    for each in "xyz":
        atc.pid(f"/a/{each}/")

    said = atc.cli("release", "bad", check=False)

    assert said.returncode == 3
    wait_for(atc, "bad", "one", "one")


def test_of_those_who_sleep_one_shows_that_it_starts(atc: Atc) -> None:
    """Or nobody would know before the first visitor does."""
    (atc.home / "bad/application.py").write_text("raise SystemExit('nothing works')\n")
    for each in "xyz":
        atc.cli("stop", f"a/{each}")

    assert atc.cli("release", "bad", check=False).returncode == 3
    wait_for(atc, "one", "one", "one")


def test_an_edit_by_hand_and_an_agent_that_is_killed(atc: Atc) -> None:
    """What was begun goes on."""
    atc.edit("  env: {", "  env: {BOOT_SECONDS: '0.5', ")
    wait_until(lambda: ("BOOT_SECONDS", "0.5") in atc.plan().tenants[0].env)
    for each in "xyz":
        atc.pid(f"/a/{each}/")

    atc.edit("root: one", "root: two")
    wait_until((atc.home / ".atc/roots.json").exists)
    os.kill(atc.pid_of("atc-agent:0"), signal.SIGKILL)

    wait_for(atc, "two", "two", "two")
    wait_until(lambda: not (atc.home / ".atc/roots.json").exists())


def test_a_directory_that_is_none_is_refused(atc: Atc) -> None:
    """And atc.yml is as it was."""
    before = (atc.home / "atc.yml").read_text()

    assert atc.cli("release", "nowhere", check=False).returncode == 2
    assert (atc.home / "atc.yml").read_text() == before


_MIGRATE = """
import os, sqlite3, sys
with open("../prepared", "a") as noted:
    noted.write("once ")
with sqlite3.connect(sys.argv[1]) as database:
    database.execute("CREATE TABLE IF NOT EXISTS done (name TEXT UNIQUE)")
    database.executemany("INSERT OR IGNORE INTO done VALUES (?)", [(each,) for each in os.listdir("migrations")])
"""


def test_a_release_without_new_migrations_is_not_prepared(atc: Atc) -> None:
    """One with a new one is."""
    for name in ("one", "two", "bad"):
        (atc.home / name / "migrations").mkdir()
        (atc.home / name / "migrations/first.sql").touch()
        (atc.home / name / "migrate.py").write_text(_MIGRATE)
    (atc.home / "bad/migrations/second.sql").touch()
    (atc.home / "bad/application.py").write_text((atc.home / "two/application.py").read_text())
    said = "prepare: python3 migrate.py ${database}\n  migrations: {files: migrations/*, table: done, column: name}"
    atc.edit("  start: ", f"  {said}\n  start: ")
    wait_until(lambda: bool(atc.plan().tenants[0].prepare))
    counts = []
    for release in ("one", "two", "bad"):
        atc.cli("release", release)
        wait_until(lambda release=release: directory_of(atc, "a/x") == release)  # type: ignore[misc]
        counts.append((atc.home / "prepared").read_text().count("once"))

    assert counts == [1, 1, 2]
