"""Who waits for databases that are being restored is told how far that is."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.system.machine import PATH, TENANT, Machine
from tests.system.machines import World, world
from tests.system.running import Answer, wait_until

pytestmark = pytest.mark.system

_MEGABYTES = 120
_AMOUNT = re.compile(r"([0-9]+) of 12[0-9] MB")


@pytest.fixture
def rested() -> Iterator[World]:
    """Machine a had a large database and gave it back; b has nothing of it, and lets nobody wait for long."""
    with world() as made:
        _large_database(made.directory / "large.sqlite3")
        words = [sys.executable, "-m", "atcgen", "backup", "adopt", TENANT, str(made.directory / "large.sqlite3")]
        made.a.start()
        subprocess.run(words, cwd=made.a.home, check=True)
        assert made.a.add(7)
        made.wait_until_published()
        made.a.stop()
        wait_until(made.is_released)
        config = made.b.home / "atc.yml"
        config.write_text(config.read_text().replace("hold: 20s", "hold: 200ms"))
        yield made


def _large_database(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE ballast (body BLOB)")
        for _ in range(_MEGABYTES):
            database.execute("INSERT INTO ballast VALUES (randomblob(1000000))")


@contextmanager
def _restore_that_stands_still(machine: Machine) -> Iterator[None]:
    """Litestream, stopped in the midst of a restore."""
    found: list[int] = []

    def is_under_way() -> bool:
        places = list(machine.data.glob(".restoring-*/restored.tmp"))
        found[:] = _pids(places[0].parent) if places and places[0].stat().st_size > 5_000_000 else []
        return bool(found)

    wait_until(is_under_way)
    (pid,) = found
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _pids(place: Path) -> list[int]:
    """Processes that have a directory in their command line."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(place).encode() in each.read_bytes():
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found


def _page(machine: Machine, accept: str) -> Answer:
    return machine.atc.ask(PATH, headers={"Accept": accept})


def test_a_restore_is_seen_on_the_page_and_on_the_command_line(rested: World) -> None:
    """Bytes of bytes, in every form; then the tenant is there."""
    machine = rested.b.start()
    assert machine.asked(PATH)[0] == 503
    with _restore_that_stands_still(machine):
        wait_until(lambda: machine.status()["restoring"]["seconds_left"])  # nothing is foretold of the first moments
        page, plain = _page(machine, "text/html"), _page(machine, "application/json")
        status, table = machine.status(), machine.atc.cli("status").stdout

        assert (page.status, plain.status) == (503, 503)
        assert 2 <= int(page.headers["retry-after"]) <= 60
        assert b'http-equiv="refresh"' in page.body
        for text in (page.text, plain.text):
            assert "Its databases are being restored: " in text
            (done,) = _AMOUNT.findall(text)
            assert 5 <= int(done) < _MEGABYTES
        assert status["restoring"]["what"] == "databases"
        assert 5_000_000 <= status["restoring"]["done"] < status["restoring"]["wanted"]
        assert abs(status["restoring"]["wanted"] - _MEGABYTES * 1_000_000) < 2_000_000
        assert status["restoring"]["seconds_left"] > 0
        assert re.search(r"restored: [0-9]+ of 12[0-9] MB, about [0-9]+ (s|min) left", table)
    assert machine.rows()["rows"] == [7]
    assert machine.status()["restoring"] is None


def test_who_waits_for_another_machine_reads_so() -> None:
    """Not which one: that stands in `atc status`."""
    with world() as made:
        made.a.start().wake()
        machine = made.b.start()

        page = _page(machine, "text/html")

        assert page.status == 503
        assert "Another machine has its databases." in page.text
        assert "One moment" in page.text
        assert machine.status()["reason"].startswith("a has it")
