"""The calendar in Rails, woken by a fork."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from atcgen.platforms import PLATFORMS
from tests.system.running import running, wait_until
from tests.system.test_preload import parent, standing_for, zygote_of

ROOT = Path(__file__).parents[2] / "examples/calendar-rails"

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not (ROOT / "Gemfile.lock").exists(), reason="examples/calendar-rails is not installed"),
]


def test_a_wake_is_a_fork_with_its_own_database_and_secret() -> None:
    """One tenant knows nothing of another one, and serves below its own prefix."""
    start = PLATFORMS["rails"].app["start"]
    app = f"{{platform: rails, root: {ROOT}, start: '{start}', preload: true, env: {{SECRET: '${{secret}}'}}}}"
    with running(f"idle: 1h\nusers: {{a: {{app: {app}, tenants: {{x: {{}}, y: {{}}}}}}}}\n") as atc:
        assert atc.ask("/a/x/none").status == 404
        wait_until(lambda: zygote_of(atc) > 0, 60)
        answer = atc.ask("/a/y/none")
        stands = standing_for(atc, "a/y")
        children = Path(f"/proc/{zygote_of(atc)}/task/{zygote_of(atc)}/children").read_text().split()

        assert answer.status == 404
        assert [os.getpgid(int(each)) for each in children] == [stands]
        assert parent(int(children[0])) == zygote_of(atc)
        databases = {os.readlink(each) for each in Path(f"/proc/{children[0]}/fd").glob("[0-9]*") if each.exists()}
        assert not re.search(r"a\.x", " ".join(databases))
        assert b"a/x" not in Path(f"/proc/{zygote_of(atc)}/environ").read_bytes()
        log = (atc.home / ".atc/logs/tenants/a.y.0.log").read_text()
        assert "Listening on unix://" in log
        assert "without preloading" not in log
        atc.cli("stop", "a/y")
        wait_until(lambda: not os.path.exists(f"/proc/{children[0]}"))
        assert "Gracefully stopping" in (atc.home / ".atc/logs/tenants/a.y.0.log").read_text()
