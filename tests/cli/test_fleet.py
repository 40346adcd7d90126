"""The commands that make machines, as a person calls them, against the simulator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atcgen.cli import main
from simulator.api.calls import Injection
from simulator.running import Running
from tests.cli.conftest import Atc
from tests.provision.world import World, simulation, world

Call = Callable[..., Result]
HEAD = """\
# The studios.
fleet: {app: shows, machine: {image: "shows:1"}}
storage: {replica: "file:./copies"}
app: {start: "serve ${socket}"}
"""


@pytest.fixture
def sim() -> Iterator[Running]:
    """An app without machines."""
    with simulation() as started:
        yield started


@pytest.fixture
def one(sim: Running, tmp_path: Path) -> World:
    """With a file without users."""
    found = world(sim, tmp_path)
    found.file.write_text(HEAD)
    (tmp_path / "copies").mkdir()
    return found


@pytest.fixture
def call(one: World, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs `atc WORDS` beside the file, in this process."""
    for name in [each for each in os.environ if each.startswith("FLY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FLY_API_TOKEN", one.sim.token)
    monkeypatch.setenv("FLY_FLAPS_BASE_URL", one.sim.api)
    monkeypatch.chdir(one.home)

    def run(*words: str, answer: str = "") -> Result:
        return CliRunner().invoke(main, list(words), input=answer)

    return run


def test_from_nothing_to_a_user_who_moved(call: Call, one: World) -> None:
    """What a person types in a year, and what atc.yml says at its end."""
    assert call("user", "add", "bellevue", "--region", "iad", "--label", "Bellevue").exit_code == 0
    assert call("tenant", "add", "bellevue/2025/winter", "--name", "Winter").exit_code == 0
    one.lease("bellevue/2025/winter", "somebody", held=False)
    assert call("fleet", "plan").output.endswith("everything is as atc.yml says\n")

    moved = call("user", "move", "bellevue", "--to", "ams", "--yes", "--grace", "0")

    assert moved.exit_code == 0, moved.output
    (machine,) = one.existing().machines
    assert one.file.read_text() == HEAD + (
        "users:\n"
        "  bellevue:\n"
        "    name: Bellevue\n"
        "    region: ams\n"
        "    machine: {}\n"
        f"    instance: {machine.id}\n"
        "    tenants:\n"
        "      2025/winter: {name: Winter}\n"
    )
    assert machine.region == "ams"
    assert [each.machine for each in one.existing().volumes] == [machine.id]
    assert call("user", "move", "bellevue", "--to", "ams", "--yes").output == "everything is as atc.yml says\n"


def test_the_data_of_who_left_the_file_stays(call: Call, one: World) -> None:
    """Editions say which tenants they had: what was never copied goes only when that is said."""
    one.file.write_text(HEAD.replace("shows,", 'shows, secret: known to all machines, config: "file:./editions",'))
    for words in (("user", "add", "raleigh", "--region", "iad"), ("tenant", "add", "raleigh/2025/disney")):
        assert call(*words).exit_code == 0
    text = one.file.read_text()
    one.file.write_text(text[: text.index("users:")] + "users: {}\n")

    refused = call("fleet", "apply", "--yes", "--grace", "0")

    assert refused.exit_code == 3, refused.output
    assert "nothing of raleigh/2025/disney was ever copied" in refused.output
    assert (len(one.existing().machines), len(one.existing().volumes)) == (1, 1)
    one.lease("raleigh/2025/disney", "somebody", held=False)
    done = call("fleet", "apply", "--yes", "--grace", "0")
    assert done.exit_code == 0, done.output
    assert (one.existing().machines, one.existing().volumes) == ((), ())


def test_a_destruction_is_asked_for(call: Call, one: World) -> None:
    """What is marked with '-' is shown first; whoever says no has everything as it was."""
    one.file.write_text(HEAD + "users: {a: {region: iad, machine: {}}}\n")
    assert call("fleet", "apply").exit_code == 0
    one.file.write_text(HEAD + "users: {b: {region: ams, tenants: {}}}\n")

    no = call("fleet", "apply", answer="n\n")
    yes = call("fleet", "apply", "--grace", "0", "--discard-data", answer="y\n")

    assert no.exit_code == 1
    assert "\n- machine " in no.output
    assert "Destroy what is marked" in no.output
    assert yes.exit_code == 0, yes.output
    assert [each.region for each in one.existing().machines] == ["ams"]


def test_what_could_not_be_done_is_said_at_the_end(call: Call, one: World) -> None:
    """Exit code 3, with what to do."""
    one.sim.do(lambda fleet: fleet.flaps.capacity.update(ams=0))
    one.file.write_text(HEAD + "users: {a: {region: ams, machine: {}}}\n")

    said = call("fleet", "apply")

    assert said.exit_code == 3
    assert "error: insufficient resources" in said.output
    assert "run it again" in said.output


def test_plan_for_programs(call: Call, one: World) -> None:
    """JSON; nothing is done."""
    one.file.write_text(HEAD + "users: {a: {region: ams, machine: {}}}\n")

    said = json.loads(call("fleet", "plan", "--json").output)

    assert [each["step"] for each in said] == ["CreateVolume", "CreateMachine"]
    assert one.existing().machines == ()


def test_nothing_moves_that_is_not_copied(call: Call, one: World) -> None:
    """Unless it may be lost."""
    text = (
        "fleet: {app: shows, machine: {image: 'shows:1'}}\nusers: {a: {region: iad, machine: {}, tenants: {x: {}}}}\n"
    )
    one.file.write_text(text)
    assert call("fleet", "apply").exit_code == 0

    refused = call("user", "move", "a", "--to", "ams", "--yes")
    moved = call("user", "move", "a", "--to", "ams", "--yes", "--discard-data", "--grace", "0")

    assert (refused.exit_code, moved.exit_code) == (3, 0), moved.output
    assert "storage.replica" in refused.output
    assert [each.region for each in one.existing().machines] == ["ams"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("user", "add", "a", "--region", "ams"), "there is a user a already"),
        (("user", "move", "b", "--to", "ams"), "there is no user b"),
        (("user", "move", "hand", "--to", "ams"), "was put on machine abc by hand"),
        (("tenant", "add", "b/x"), "there is no user b"),
        (("tenant", "add", "a/x"), "a has a tenant at x already"),
    ],
)
def test_what_cannot_be_edited_is_said(call: Call, one: World, words: tuple[str, ...], says: str) -> None:
    """And nothing is written."""
    text = HEAD + "users: {a: {region: iad, machine: {}, tenants: {x: {}}}, hand: {region: lhr, instance: abc}}\n"
    one.file.write_text(text)

    said = call(*words)

    assert said.exit_code == 3
    assert says in said.output
    assert one.file.read_text() == text


def test_an_edit_with_errors_is_not_written(call: Call, one: World) -> None:
    """As a size that does not exist, or a name that no URL can hold."""
    before = one.file.read_text()

    assert call("user", "add", "a", "--region", "iad", "--size", "huge").exit_code == 1
    assert call("user", "add", "a/b", "--region", "iad").exit_code == 1
    assert one.file.read_text() == before
    assert one.existing().machines == ()


def test_a_region_that_fly_does_not_have_is_doubted(call: Call, one: World) -> None:
    """The API does not say what is wrong; atc may not know the newest, and goes on."""
    said = call("user", "add", "a", "--region", "narnia", "--edit-only")

    assert said.exit_code == 0
    assert "'narnia' is no region of Fly.io that atc knows; those are ams, arn, " in said.output
    assert "warning" not in call("user", "move", "a", "--to", "ams", "--edit-only").output


def test_without_a_token_only_the_file_is_edited(call: Call, one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--edit-only` says so; the rest needs one."""
    monkeypatch.delenv("FLY_API_TOKEN")

    refused = call("user", "add", "a", "--region", "iad")
    edited = call("user", "add", "a", "--region", "iad", "--edit-only")

    assert (refused.exit_code, edited.exit_code) == (3, 0)
    assert "fly tokens create deploy -a shows" in refused.output
    assert one.file.read_text() == HEAD + "users:\n  a:\n    region: iad\n    machine: {}\n"


def test_cost_says_what_a_user_costs(atc: Atc, tmp_path: Path) -> None:
    """With the date of the prices and what was assumed; without a token."""
    (tmp_path / "atc.yml").write_text("users: {a: {region: iad, machine: {}}, b: {region: ams}}\n")

    table, plain = atc("fleet", "cost"), json.loads(atc("fleet", "cost", "--json", "--hours-per-day", "24").stdout)

    assert "2025-08-19" in table.stdout
    assert "2 hours a day" in table.stdout
    assert [each["user"] for each in plain["users"]] == ["a", ""]
    assert plain["users"][0]["hours"] == 720
    assert plain["total"] == pytest.approx(sum(each["total"] for each in plain["users"]))


def test_build_writes_fly_toml_and_leaves_the_owners(atc: Atc, tmp_path: Path) -> None:
    """Into the output; where that is the directory of atc.yml, what is there stays."""
    assert atc("build", "-o", "out").returncode == 0
    assert "internal_port = 8080" in (tmp_path / "out/fly.toml").read_text()
    assert (tmp_path / "out/Dockerfile").read_text().startswith("# Your application")
    (tmp_path / "fly.toml").write_text("app = 'mine'\n")

    said = atc("build", "-o", ".")

    assert said.returncode == 0
    assert "fly.toml: stays as it is" in said.stderr
    assert (tmp_path / "fly.toml").read_text() == "app = 'mine'\n"
    assert (tmp_path / "Dockerfile").exists()


def test_check_compares_fly_toml(atc: Atc, tmp_path: Path) -> None:
    """The one beside atc.yml, with file and line."""
    (tmp_path / "fly.toml").write_text("kill_signal = 'SIGTERM'\n[http_service]\ninternal_port = 3000\n")

    said = atc("check")

    assert said.returncode == 0
    assert "fly.toml:3:1: warning: http_service.internal_port is 3000; server.http_port is 8080" in said.stderr


@pytest.mark.parametrize(("number", "when"), [(3, "before"), (3, "after"), (4, "before"), (4, "after"), (6, "after")])
def test_a_process_that_is_killed_leaves_nothing_over(one: World, call: Call, number: int, when: Any) -> None:
    """SIGKILL at a call that makes something, or after the last one; the same command ends with one machine."""
    one.file.write_text(HEAD + "users: {a: {region: iad, machine: {}}}\n")
    words = [sys.executable, "-m", "atcgen", "fleet", "apply"]
    process: list[subprocess.Popen[str]] = []

    def kill() -> None:
        process[0].send_signal(signal.SIGKILL)

    one.sim.inject(Injection(number, when, 0, kill))
    process.append(subprocess.Popen(words, cwd=one.home, stdout=subprocess.PIPE, text=True))
    process[0].communicate(timeout=60)
    assert process[0].returncode == -signal.SIGKILL

    assert call("fleet", "apply").exit_code == 0
    (machine,), (volume,) = one.existing().machines, one.existing().volumes
    assert volume.machine == machine.id == one.draft().compile().config.users["a"].instance
