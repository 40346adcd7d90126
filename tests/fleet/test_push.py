"""A new edition of atc.yml reaches machines that are awake, and those that sleep before they serve anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.fleet.machines import ROOT, Shows, said, shows
from tests.system.running import wait_until

pytestmark = pytest.mark.system
MACHINES = {f"aa00000000000{number}": "iad" if number % 2 else "ams" for number in range(10)}
SLEEPERS = list(MACHINES)[:3]
FLEET = """\
fleet: {secret: everybody's, app: shows, address: ADDRESS, config: 'file:STORE', poll: 0}
idle: {tenant: 2s, machine: {after: 1s, then: suspend}}
users:
"""


def users(tenants: str) -> str:
    """A user for each machine; of those that are not to sleep, a tenant is kept up."""
    lines = []
    for number, name in enumerate(MACHINES):
        pin = "" if name in SLEEPERS else "pin: true, "
        lines.append(f"  u{number}: {{{pin}instance: {name}, tenants: {tenants}}}\n")
    return "".join(lines)


def push(fleet: Shows, text: str) -> None:
    """`atc push`, from a directory of the owner's."""
    here = fleet.file.parent / "owner"
    here.mkdir(exist_ok=True)
    (here / "atc.yml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "atcgen", "push"],
        cwd=here,
        env={**os.environ, "DATA": str(here), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_nobody_is_served_by_an_old_edition_after_a_sleep(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    text = FLEET.replace("STORE", str(tmp_path / "store"))
    with shows(text + users("{old: {}}"), MACHINES, tmp_path) as fleet:
        begun = fleet.file.read_text()
        push(fleet, begun)
        for number in range(10):
            wait_until(lambda number=number: said(fleet.ask("iad", f"/u{number}/old/")) == f"u{number}/old", 60)  # type: ignore[misc]
        for name in SLEEPERS:
            fleet.fly.wait_state(name, "suspended", 60)

        push(fleet, begun.replace("{old: {}}", "{new: {}}"))

        for number, name in enumerate(MACHINES):
            if name not in SLEEPERS:
                wait_until(partial(is_new, fleet, number), 60)
        for number, _ in enumerate(SLEEPERS):
            assert fleet.ask("ams", f"/u{number}/old/", timeout=60).status == 404
            assert said(fleet.ask("ams", f"/u{number}/new/", timeout=60)) == f"u{number}/new"


def is_new(fleet: Shows, number: int) -> bool:
    """Is the new tenant there?"""
    return said(fleet.ask("iad", f"/u{number}/new/")) == f"u{number}/new"
