"""`atc run` with a file that has errors: what ran last goes on, and everybody is told."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.machine import Machine
from tests.system.running import base_config, reserved_port, wait_until

pytestmark = pytest.mark.system


@pytest.fixture
def machine() -> Iterator[Machine]:
    """With a tenant a/x; it does not run yet."""
    home = Path(tempfile.mkdtemp(prefix="atcs-", dir="/tmp"))
    with reserved_port() as port:
        made = Machine("m", home, port, {})
        (home / "atc.yml").write_text(
            base_config(home, port, "hold: 20s", "${socket}") + "users: {a: {tenants: {x: {}}}}\n"
        )
        try:
            yield made
        finally:
            made.crash()
            shutil.rmtree(home)


def test_what_ran_last_goes_on_until_the_file_is_mended(machine: Machine) -> None:
    """Also what was edited since the start; the errors are printed, and stand in `atc status`."""
    machine.start()
    file = machine.home / "atc.yml"
    good = file.read_text().replace("x: {}", "x: {}, y: {}")
    file.write_text(good)
    wait_until(lambda: machine.asked("/a/y/")[0] == 200)
    machine.end()
    file.write_text(good.replace("users:", "user:"))
    machine.start()
    assert [machine.asked(f"/a/{each}/")[0] for each in ("x", "y")] == [200, 200]
    assert "NOT run" in (machine.home / "log").read_text()
    assert "user" in (machine.home / "log").read_text()
    wait_until(lambda: "atc.yml is not what runs" in machine.atc.cli("status").stderr)
    file.write_text(good.replace("y: {}", "z: {}"))
    wait_until(lambda: machine.asked("/a/z/")[0] == 200)
    wait_until(lambda: machine.asked("/a/y/")[0] == 404)


def test_where_nothing_ran_it_does_not_start(machine: Machine) -> None:
    """It exits with the errors."""
    file = machine.home / "atc.yml"
    file.write_text(file.read_text().replace("users:", "user:"))
    machine.launch()
    assert machine.process
    assert machine.process.wait(60) == 1
    assert (machine.home / "log").read_text().count("unknown key 'user'") == 1
