"""What the pages say in words, compared with the code that it is about."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from atcgen.agent import machine_life
from atcgen.agent.lifecycle import CRASHES_FORGIVEN, LONGEST_BACKOFF, State, backoff
from atcgen.agent.machine_life import Machine
from atcgen.agent.resting import LONG
from atcgen.agent.watch import SETTLE
from atcgen.cli import main
from atcgen.compiler.changes import changes
from atcgen.compiler.names import program_name
from atcgen.compiler.paths import state_paths
from atcgen.compiler.plan import TenantPlan
from atcgen.compiler.schema import Server
from atcgen.diagnostics import Code
from atcgen.errors import ApplyError, Rejected, Unavailable
from atcgen.system.generations import KEPT
from atcgen.system.logs import NGINX_LOG_LIMIT
from tests.agent.test_machine_life import EVENTS
from tests.agent.test_metrics import database, parsed, tenant
from tests.compiler.compiling import compiled, complaints, machine
from tests.docs.pages import ROOT, cells
from tests.docs.transitions import transitions

ARCHITECTURE = ROOT / "docs/architecture.md"
OPERATIONS = ROOT / "docs/operations.md"


def only(text: str, **facts: Any) -> TenantPlan:
    """The one tenant of a file."""
    (tenant,) = compiled(text, machine(**facts)).plan.tenants
    return tenant


# architecture.md


def test_the_table_of_states_is_the_lifecycle() -> None:
    """Every state, and every change of it that can happen: no more, no less."""
    rows = {State(row[0].strip("`")): row[2] for row in cells(ARCHITECTURE, "The life of a tenant")}
    said = {(state, State(each)) for state, text in rows.items() for each in re.findall(r"`([a-z]+)`", text)}

    assert set(rows) == set(State)
    assert said == transitions()


def test_the_table_of_the_machine_is_its_life() -> None:
    """The same for the machine."""
    rows = {row[0].strip("`"): row[2] for row in cells(ARCHITECTURE, "The life of the machine")}
    said = {(state, each) for state, text in rows.items() for each in re.findall(r"`([a-z]+)`", text)}
    flags = [(wanted, stale) for wanted in (False, True) for stale in (False, True)]
    machines = [Machine(state=each, is_wanted=a, is_stale=b) for each in machine_life.State for a, b in flags]
    after = {(each.state, machine_life.step(each, event)[0].state) for each in machines for event in EVENTS}

    assert set(rows) == set(machine_life.State)
    assert said == {(before, now) for before, now in after if before is not now}


def test_rooms_use_what_the_page_says() -> None:
    """And the compiler nothing that has effects."""
    rows = {row[0].strip("`"): row[2] for row in cells(ARCHITECTURE, "Rooms")}
    for room in ("platforms", "compiler", "system", "replica", "fleet", "provision", "init", "agent", "cli"):
        allowed = {*re.findall(r"`([a-z]+)`", rows[f"atcgen/{room}/"]), room, "diagnostics", "errors"}
        for file in (ROOT / "atcgen" / room).glob("*.py"):
            assert _imports(file) <= allowed, file
    pure = [file for room in ("platforms", "compiler", "init") for file in (ROOT / "atcgen" / room).glob("*.py")]
    for file in pure:
        assert not {"os", "subprocess", "socket", "time", "pathlib"} & _modules(file), file


def _modules(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    named = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return named | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def _imports(file: Path) -> set[str]:
    return {each.split(".")[1] for each in _modules(file) if each.startswith("atcgen.")}


def test_the_layout_of_the_state_directory_is_complete() -> None:
    """Every path the compiler knows has a row."""
    said = {
        each for row in cells(ARCHITECTURE, "Below the state directory") for each in re.findall(r"`([^`]+)`", row[0])
    }
    known = {each.removeprefix("/state/") for each in vars(state_paths("/state")).values()} - {"/state"}

    assert {each.rstrip("/") for each in known} <= {each.rstrip("/") for each in said} | {"run"}


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    """Written out, so that they are easy to read."""
    text = " ".join((ARCHITECTURE.read_text("utf-8") + OPERATIONS.read_text("utf-8")).split())

    assert (f"{SETTLE * 1000:g} ms pass" in text, KEPT, "the last five" in text) == (True, 5, True)
    assert (NGINX_LOG_LIMIT, "10 MB and one older" in text) == (10 * 1024**2, True)
    assert (CRASHES_FORGIVEN, "after four in a row" in text) == (3, True)
    assert (backoff(1), backoff(2), LONGEST_BACKOFF, "from one second to one minute" in text) == (1, 2, 60, True)
    assert (LONG, "a connection of ten seconds or more" in text) == (10, True)
    assert (machine_life.LONGEST_BACKOFF, "four, at most five minutes" in text) == (300, True)
    assert (machine_life.PATIENCE, "still does not after a minute" in text) == (60, True)
    files = compiled("app: {start: x}").files
    assert "worker_shutdown_timeout 15m;" in files["nginx/nginx.conf"]
    assert "stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=2" in files["supervisor/programs.conf"]


def test_names_of_directories_are_as_described() -> None:
    """Dots for slashes."""
    assert program_name("bellevue/2025/winter") == "bellevue.2025.winter"


# configuration.md


def test_what_is_filled_in_is_what_the_page_says() -> None:
    """One application, its command and its database."""
    alone = only("{}")
    user = only("users: {a: {tenants: {x: {}}}}")
    route = only("routes: [{name: Sam & Co.}]")

    assert (alone.start, alone.prepare) == (("bin/rails", "server"), ("bin/rails", "db:prepare"))
    assert (alone.pin, alone.port, alone.cache_zone, alone.path) == (True, Server().target_port, "all", "")
    assert only("app: {start: 'x ${socket}'}").port == 0
    assert user.databases[0].endswith("/db.sqlite3")
    assert route.databases[0].endswith("/sam-co.sqlite3")
    assert {"FLY_ATC_NAME", "FLY_ATC_SCOPE", "DATABASE_URL"} <= set(dict(route.env))
    assert dict(route.env)["DATABASE_URL"] == f"sqlite3:{route.databases[0]}"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("app: {start: '%s'}", "all"),
        ("app: {prepare: '%s'}", "all"),
        ("app: {release: '%s'}", "all"),
        ("app: {env: {A: '%s'}}", "all"),
        ("app: {root: '%s'}", "environment"),
        ("app: {static: {assets: '%s'}}", "environment"),
        ("storage: {volume: '%s'}", "environment"),
        ("server: {bad_gateway_page: '%s'}", "environment"),
        ("server: {error_pages: {'404': '%s'}}", "environment"),
    ],
)
def test_variables_stand_where_the_page_says(text: str, names: str) -> None:
    """All of them in commands, `release` and `env`; the environment alone in names of files."""
    host = machine({"NAME": "value"})

    assert complaints(text % "${ENV:NAME}", host) == ()
    codes = {each.code for each in complaints(text % "${tenant.id}", host)}
    assert (Code.UNKNOWN_VARIABLE in codes) is (names == "environment")


@pytest.mark.parametrize(("name", "severity"), [("HTTP_PORT", "warning"), ("THRUSTER_HTTP_PORT", "error")])
def test_a_bad_variable_is_what_the_page_says(name: str, severity: str) -> None:
    """It depends on the prefix."""
    (said,) = complaints("{}", machine({name: "many"}))

    assert said.severity == severity


# operations.md


def test_exit_codes_are_those_of_the_errors() -> None:
    """And click's for a wrong command line."""
    said = {int(row[0]) for row in cells(OPERATIONS, "Exit codes")}

    assert said == {0, Rejected.exit_code, click.UsageError.exit_code, ApplyError.exit_code, Unavailable.exit_code}


@pytest.mark.parametrize(
    ("edit", "reloads"),
    [
        ("app: {start: y}", False),
        ("app: {start_timeout: 5}", False),
        ("idle: 1h", False),
        ("pin: true", False),
        ("start: eager", False),
        ("x-note: 1", False),
        ("server: {http_idle_timeout: 5}", True),
        ("app: {streaming: true}", True),
    ],
)
def test_edits_reload_nginx_as_the_page_says(edit: str, reloads: bool) -> None:
    """Only what changes its files."""
    tenants = "users: {a: {tenants: {x: {}}}}\n"

    assert changes(compiled(tenants).files, compiled(f"{edit}\n{tenants}").files).nginx_reloads is reloads


def test_one_application_has_the_defaults_of_thruster() -> None:
    """Port 80, PORT 3000, no health check, headers passed on."""
    plan = compiled("", machine(command=("bin/rails", "server"), has_file=False)).plan

    assert plan.server.listen == ("0.0.0.0:80",)
    assert dict(plan.tenants[0].env)["PORT"] == "3000"
    assert plan.server.health_check_path == ""
    assert "0.0.0.0/0" in plan.server.trusted
    assert any(each.given.endswith("/public/502.html") for each in plan.server.pages)


def test_access_logs_have_the_fields_that_are_named() -> None:
    """In this order."""
    text = " ".join(OPERATIONS.read_text("utf-8").split())
    line = re.search(r"log_format atc .*?;\n", compiled("{}").files["nginx/nginx.conf"], re.DOTALL)
    sentence = re.search(r"A line of an access log has (.*?);", text)

    assert line
    assert sentence
    assert re.findall(r'"([a-z_]+)":', line[0]) == re.findall(r"`([a-z_]+)`", sentence[1])


def test_every_metric_has_a_row() -> None:
    """And every row is of one."""
    drill = {"at": 1e9, "problem": ""}
    restoring = {"done": 1, "wanted": 2}
    copied = database(lag=1.0, copied_at=1e9)
    counted = tenant("a/x", wake_seconds=1.0, last_access=1e9, restoring=restoring, databases=[copied])
    rows = {name for row in cells(OPERATIONS, "Metrics") for name in re.findall(r"`(atc_[a-z_]+)`", row[0])}

    assert rows == {name for name, _ in parsed(counted, drill=drill)}


# Dockerfile and atc.service


def _instructions() -> list[tuple[str, str]]:
    text = (ROOT / "docs/Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


def test_the_dockerfile_is_well_formed() -> None:
    """Known instructions in a sensible order; what is run exists in the image before it is run."""
    said = _instructions()
    words = [word for word, _ in said]

    assert set(words) <= {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert said[0] == ("FROM", "debian:12-slim")
    assert words[-2:] == ["ENTRYPOINT", "CMD"]
    packages = next(rest for word, rest in said if "apt-get install" in rest)
    assert {"nginx", "python3", "python3-venv"} <= set(packages.split())
    assert [rest.split()[0] for word, rest in said if word == "COPY"] == ["atc", "app"]
    (install,) = [rest for word, rest in said if "pip install" in rest]
    assert next(rest.split()[1] for word, rest in said if rest.startswith("atc ")) in install
    assert ("EXPOSE", str(Server().http_port)) in said


def test_the_image_starts_atc_as_its_command_line_allows() -> None:
    """The entrypoint together with the default arguments, and with a command instead."""
    said = dict(_instructions())
    words = json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"])

    assert json.loads(said["ENTRYPOINT"]) == ["atc", "run"]
    _understood(words[1:])
    _understood(["run", *json.loads(said["CMD"]), "--", "bin/rails", "server"])
    assert words[-1].startswith(said["VOLUME"])


def test_the_unit_is_consistent() -> None:
    """It starts atc, signals supervisord alone, and waits longer than atc does."""
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((ROOT / "docs/atc.service").read_text(encoding="utf-8"))
    program, *words = shlex.split(unit["Service"]["ExecStart"])

    assert Path(program).name == "atc"
    _understood(words)
    assert words[-1] == f"/var/lib/{unit['Service']['StateDirectory']}"
    assert unit["Service"]["KillMode"] == "mixed"
    assert float(unit["Service"]["TimeoutStopSec"]) > Server().kill_timeout


def _understood(words: list[str]) -> None:
    command = main.get_command(click.Context(main), words[0])
    assert command
    command.make_context(words[0], words[1:])
