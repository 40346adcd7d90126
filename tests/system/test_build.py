"""A release is built once for all its tenants, before any of them starts."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atcgen.system.processes import runs
from tests.system.running import APPLICATION, Atc, running, wait_until

pytestmark = pytest.mark.system

TENANTS = "idle: 1h\nusers: {a: {tenants: {t0: {}, t1: {}, t2: {}, t3: {}, t4: {}, t5: {}}}}\n"
# What it writes lies in the release, as assets do.
BUILD = """\
echo $$ >> builds
env > environment
while [ -e wait ]; do sleep 0.02; done
if [ -e fail ]; then echo "no such module: $(cat fail)"; exit 1; fi
cp source assets
"""


@contextmanager
def building(more: str = "", prepare: str = "") -> Iterator[Atc]:
    """Six tenants of one code directory."""
    with tempfile.TemporaryDirectory(prefix="atc-code-") as code:
        root = Path(code)
        (root / "build.sh").write_text(BUILD)
        (root / "source").write_text("one")
        text = (
            f"app:\n  root: {root}\n  start: {sys.executable} {APPLICATION} ${{socket}}\n"
            f"  build: sh build.sh\n  {prepare}\n{more}"
            "  env: {OWNER: '${tenant.id}', STARTS: '%s/starts', MODE: production, SECRET: '${secret}'}\n"
        )
        with running(TENANTS, app=text, environ={"AWS_SECRET_ACCESS_KEY": "hidden"}) as atc:
            yield atc


def code(atc: Atc) -> Path:
    """The code directory."""
    return Path(atc.plan().tenants[0].root)


def builds(atc: Atc) -> int:
    """How often it was built."""
    file = code(atc) / "builds"
    return len(file.read_text().splitlines()) if file.exists() else 0


def change(atc: Atc, text: str) -> None:
    """Another release."""
    fresh = code(atc) / "source.new"
    fresh.write_text(text)
    fresh.rename(code(atc) / "source")


def test_all_that_wake_at_once_wait_for_one_build() -> None:
    """And none starts before its end; what it wrote is no reason to build again."""
    with building() as atc:
        (code(atc) / "wait").touch()
        answers = [atc.in_background(f"/a/t{each}/") for each in range(6)]
        wait_until(lambda: all(atc.state(f"a/t{each}") == "preparing" for each in range(6)))
        wait_until(lambda: builds(atc) == 1)
        assert atc.starts() == 0
        (code(atc) / "wait").unlink()
        assert [each().status for each in answers] == [200] * 6
        atc.cli("stop", "a/t0")
        assert atc.get("/a/t0/")[0] == 200
        atc.cli("restart", "a/t1")

        assert builds(atc) == 1
        assert (code(atc) / "assets").read_text() == "one"
        environment = dict(
            line.split("=", 1) for line in (code(atc) / "environment").read_text().splitlines() if "=" in line
        )
        assert environment["MODE"] == "production"
        assert not {"OWNER", "SECRET", "SOCKET", "SUPERVISOR_ENABLED"} & environment.keys()


def test_what_all_wait_for_fails_for_all() -> None:
    """With what it said last; it is not tried again for each of them, and is when somebody orders it."""
    with building() as atc:
        (code(atc) / "fail").write_text("left-pad")
        (code(atc) / "wait").touch()
        answers = [atc.in_background(f"/a/t{each}/") for each in range(3)]
        wait_until(lambda: all(atc.state(f"a/t{each}") == "preparing" for each in range(3)))
        (code(atc) / "wait").unlink()
        assert {each().status for each in answers} == {503}
        first = builds(atc)
        said = {each["id"]: each["reason"] for each in atc.status()["tenants"]}
        assert all("no such module: left-pad" in said[f"a/t{each}"] for each in range(3)), said
        assert f"{atc.plan().builds[0].log}" in said["a/t0"]
        assert first == 1
        assert "no such module: left-pad" in atc.cli("logs", "a/t0").stdout

        (code(atc) / "fail").unlink()
        atc.cli("start", "a/t0")
        assert atc.get("/a/t0/")[0] == 200
        assert builds(atc) == 2


def test_an_old_process_serves_while_the_next_release_is_built() -> None:
    """A restart waits for the build; one that fails leaves everything as it was."""
    with building() as atc:
        before = atc.pid("/a/t0/")
        change(atc, "two")
        (code(atc) / "wait").touch()
        restart = atc.cli_in_background("restart", "a/t0")
        wait_until(lambda: builds(atc) == 2)
        assert atc.pid("/a/t0/") == before
        (code(atc) / "wait").unlink()
        assert restart.wait(30) == 0
        wait_until(lambda: not runs(before))  # until then nginx may use a connection to it
        after = atc.pid("/a/t0/")
        assert (code(atc) / "assets").read_text() == "two"

        change(atc, "three")
        (code(atc) / "fail").write_text("right-pad")
        atc.cli("restart", "a/t0")
        assert atc.pid("/a/t0/") == after
        reason = next(each["reason"] for each in atc.status()["tenants"] if each["id"] == "a/t0")
        assert reason.startswith("restart failed: the build failed")
        assert "right-pad" in reason


def test_a_build_goes_on_without_its_agent() -> None:
    """The next agent waits for it; it is not begun twice."""
    with building() as atc:
        (code(atc) / "wait").touch()
        atc.in_background("/a/t0/")
        wait_until(lambda: builds(atc) == 1)
        pid = int((code(atc) / "builds").read_text())
        os.kill(atc.pid_of("atc-agent:0"), signal.SIGKILL)
        wait_until(lambda: atc.log().count("agent.ready") == 2)
        answer = atc.in_background("/a/t1/")
        wait_until(lambda: atc.state("a/t1") == "preparing")
        os.kill(pid, 0)
        (code(atc) / "wait").unlink()

        assert answer().status == 200
        assert builds(atc) == 1


def test_a_build_ends_with_atc() -> None:
    """In its time, and with what it started; the next one builds anew."""
    with building() as atc:
        (code(atc) / "wait").touch()
        atc.in_background("/a/t0/")
        wait_until(lambda: builds(atc) == 1)
        pid = int((code(atc) / "builds").read_text())
        atc.process.send_signal(signal.SIGTERM)
        atc.process.wait(30)

        assert not runs(pid)
        assert not list((atc.home / ".atc/builds").glob("build+*[0-9a-f]"))


def test_a_build_that_hangs_is_ended() -> None:
    """After `build_timeout`."""
    with building("  build_timeout: 1s\n") as atc:
        (code(atc) / "wait").touch()
        assert atc.get("/a/t0/")[0] == 503
        wait_until(lambda: atc.state("a/t0") == "failed")
        reason = next(each["reason"] for each in atc.status()["tenants"] if each["id"] == "a/t0")

        assert reason.startswith("the build took longer than 1 s")
        assert not runs(int((code(atc) / "builds").read_text().split()[0]))


def test_a_build_comes_before_prepare_and_after_an_edit() -> None:
    """`prepare` finds what was built. A build that atc.yml names no more is forgotten, another one is run."""
    with building(prepare="prepare: sh -c 'cp assets ${tenant.dir}/prepared; touch ${database}'") as atc:
        assert atc.get("/a/t0/")[0] == 200
        assert (atc.home / "data/a.t0/prepared").read_text() == "one"
        old = atc.plan().builds[0].program
        atc.edit("build: sh build.sh", "build: sh build.sh again")
        wait_until(lambda: atc.plan().builds[0].program != old)
        wait_until(lambda: old not in atc.programs())
        atc.cli("stop", "a/t0")
        assert atc.get("/a/t0/")[0] == 200
        assert builds(atc) == 2
