"""Machines that suspend themselves, as the simulated platform lets them."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.lifecycle import State
from tests.fleet.machines import digest, said, shows, some_bytes
from tests.system.running import wait_until

pytestmark = pytest.mark.system
NAME = "aa000000000001"
TEXT = "idle: {tenant: 1s, machine: 1s}\nusers: {a: {tenants: {x: {}}}}\n"


def test_a_machine_that_nobody_uses_is_suspended_and_resumes_for_whoever_comes(tmp_path: Path) -> None:
    """Twice, and once it was stopped meanwhile: nobody sees a difference."""
    with shows(TEXT, {NAME: "iad"}, tmp_path) as fleet:
        machine = fleet.fly.machine(NAME)
        body = some_bytes(3_000_000)
        for number in range(3):
            assert said(fleet.ask("iad", "/a/x/")) == "a/x"
            wait_until(lambda: machine.state is State.SUSPENDED, 60)
            if number == 1:
                fleet.fly.stop(NAME)
            answer = fleet.ask("iad", "/a/x/", method="POST", body=body, timeout=60)
            assert answer.body.decode() == digest(body), answer
