"""What each command prints and returns."""

from __future__ import annotations

import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.cli.conftest import TWO, Atc


def test_check_counts_the_tenants_of_a_right_file(atc: Atc) -> None:
    """Exit code 0."""
    said = atc("check")

    assert (said.returncode, said.stdout) == (0, "atc.yml: 2 tenants here, 0 on other machines\n")


def test_check_says_everything_that_is_wrong(atc: Atc, tmp_path: Path) -> None:
    """Exit code 1, one line per error with file, line and column; `--json` says the same to programs."""
    (tmp_path / "atc.yml").write_text("usrs: {}\nserver: {http_port: 99999}\n")

    said, as_json = atc("check"), atc("check", "--json")

    assert said.returncode == as_json.returncode == 1
    assert "atc.yml:1:1: error: unknown key 'usrs' [unknown-key]\n    hint: did you mean 'users'?\n" in said.stderr
    assert "atc.yml:2:21: error: server.http_port: 99999 must be at most 65535 [out-of-range]" in said.stderr
    found = [each for each in json.loads(as_json.stdout) if each["severity"] == "error"]
    assert [(each["line"], each["column"], each["code"]) for each in found] == [
        (1, 1, "unknown-key"),
        (2, 21, "out-of-range"),
    ]


def test_a_wrong_command_line_is_exit_code_two(atc: Atc) -> None:
    """As of every command."""
    assert atc("chekc").returncode == 2
    assert atc("check", "--no-such-option").returncode == 2


def test_a_file_that_is_not_there_is_exit_code_three(atc: Atc) -> None:
    """And says what to do."""
    said = atc("check", "-c", "other.yml")

    assert said.returncode == 3
    assert said.stderr == "error: other.yml: no such file\n"


def test_build_writes_the_same_bytes_twice(atc: Atc, tmp_path: Path) -> None:
    """nginx's, supervisord's and the launch scripts, readable by their owner alone."""
    atc("build", "-o", "one", "--state", "state")
    atc("build", "-o", "two", "--state", "state")

    one, two = (
        {
            str(each.relative_to(tmp_path / name)): each.read_bytes()
            for each in (tmp_path / name).rglob("*")
            if each.is_file()
        }
        for name in ("one", "two")
    )
    assert {"nginx/nginx.conf", "supervisor/supervisord.conf", "launch/a.x.sh", "plan.json"} <= one.keys()
    assert one == two
    assert (tmp_path / "one/launch/a.x.sh").stat().st_mode & 0o777 == 0o600


def test_plan_is_the_complete_plan(atc: Atc) -> None:
    """As JSON."""
    plan = json.loads(atc("plan").stdout)

    assert [each["id"] for each in plan["tenants"]] == ["a/x", "a/y"]


def test_the_machine_is_told_by_options_and_by_the_platform(atc: Atc, tmp_path: Path) -> None:
    """A user of another region is remote; FLY_REGION and --region mean the same."""
    (tmp_path / "atc.yml").write_text(
        "users: {a: {region: sea, tenants: {x: {}}}, b: {region: bos, tenants: {y: {}}}}\n"
    )

    by_option, by_platform = atc("check", "--region", "sea"), atc("check", FLY_REGION="sea")

    assert by_option.stdout == by_platform.stdout == "atc.yml: 1 tenants here, 1 on other machines\n"


@pytest.mark.parametrize(
    ("url", "answer", "tenant"),
    [
        ("/a/x/deep?q=1", "tenant", "a/x"),
        ("http://localhost:8080/a/x", "redirect", "a/x"),
        ("/a/xx/", "nobody", ""),
        ("/up", "health", ""),
    ],
)
def test_explain_says_who_answers(atc: Atc, url: str, answer: str, tenant: str) -> None:
    """And why, with the place in atc.yml."""
    said = json.loads(atc("explain", "--json", url).stdout)

    assert (said["answer"], said["tenant"]) == (answer, tenant)
    assert said["why"]
    assert said["origin"].startswith("atc.yml:1:") or not tenant


def test_explain_names_the_machine_of_a_remote_tenant(atc: Atc, tmp_path: Path) -> None:
    """What fly-replay would say."""
    (tmp_path / "atc.yml").write_text("users: {a: {region: sea, tenants: {x: {}}}}\n")

    said = json.loads(atc("explain", "--json", "--region", "bos", "/a/x/").stdout)

    assert (said["answer"], said["target"]) == ("replay", "region=sea")


def test_explain_looks_at_rules_of_a_method(atc: Atc, tmp_path: Path) -> None:
    """A rule for POST says nothing of GET."""
    (tmp_path / "atc.yml").write_text(
        "fleet: {elsewhere: [{path: /a/x/print, methods: [POST], app: printer}]}\nusers: {a: {tenants: {x: {}}}}\n"
    )

    found = [json.loads(atc("explain", "--json", "/a/x/print", *more).stdout) for more in ([], ["--method", "post"])]

    assert [each["answer"] for each in found] == ["tenant", "replay"]
    assert found[1]["target"] == "app=printer"


def test_diff_says_what_an_edit_would_change(atc: Atc, tmp_path: Path) -> None:
    """Who comes, who goes, who restarts, and whether nginx reloads."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    assert json.loads(atc("diff", "--json").stdout)["added"] == ["a/x", "a/y"]
    atc("store")
    name = next((tmp_path / ".atc/generations").iterdir()).name
    (tmp_path / ".atc/current").symlink_to(f"generations/{name}")

    assert atc("diff").stdout == "nginx is not touched\n"
    (tmp_path / "atc.yml").write_text("users: {a: {tenants: {x: {env: {A: '1'}}, z: {}}}}\n")

    said = json.loads(atc("diff", "--json").stdout)
    assert said == {"added": ["a/z"], "removed": ["a/y"], "restarted": ["a/x"], "nginx_reloads": True}
    assert "+export A=1" in atc("diff", "--files").stdout


def test_the_schema_knows_every_section_and_leaves_anchors_free(atc: Atc) -> None:
    """For editors."""
    schema = json.loads(atc("schema").stdout)

    assert {"server", "app", "idle", "storage", "users", "routes"} <= schema["properties"].keys()
    assert schema["patternProperties"] == {"^x-": {}}


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ((Path(__file__).parents[2] / "examples/atc.yml").read_text(), True),
        (
            "idle: 5m\napp: {static: public, env: }\nusers: {a: {tenants: {x: , y: {idle: 30}}}, b: }\nx-a: 1\n",
            True,
        ),
        ("routes:\n  - {name: Sam, endpoint: /sam, database: sam, region: iad}\n", True),
        ("usrs: {}\n", False),
        ("idle: [5m]\n", False),
        ("users: {a: {tenants: {x: {nam: X}}}}\n", False),
    ],
)
def test_editors_that_use_the_schema_agree_with_check(atc: Atc, tmp_path: Path, text: str, is_right: bool) -> None:
    """Short spellings are right, misspelt keys are wrong."""
    schema = json.loads(atc("schema").stdout)
    (tmp_path / "atc.yml").write_text(text)

    assert jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text)) == is_right
    assert (" error: " not in atc("check").stderr) == is_right


def test_help_lists_every_command_and_none_that_is_internal(atc: Atc) -> None:
    """Each with its own help."""
    said = atc("--help").stdout

    commands = [
        "backup",
        "build",
        "check",
        "diff",
        "explain",
        "fleet",
        "history",
        "import",
        "init",
        "logs",
        "metrics",
        "plan",
        "pull",
        "push",
        "release",
        "restart",
        "rollback",
        "run",
        "schema",
        "start",
        "status",
        "stop",
        "tenant",
        "user",
    ]
    listed = [line.split()[0] for line in said.partition("Commands:")[2].splitlines() if line.strip()]
    assert sorted(listed) == commands
    for each in commands:
        assert atc(each, "--help").returncode == 0


def test_commands_about_a_running_atc_say_that_there_is_none(atc: Atc) -> None:
    """Exit code 3, and how to start it."""
    for words in (["status"], ["start", "a/x"], ["stop", "a/x"], ["restart", "a/x"], ["logs", "a/x"], ["metrics"]):
        said = atc(*words)
        assert said.returncode == 3
        assert "start it with: atc run" in said.stderr


def test_printing_to_a_closed_pipe_is_no_crash(atc: Atc, tmp_path: Path) -> None:
    """`atc plan | head -1` is what people do."""
    import subprocess
    import sys

    (tmp_path / "atc.yml").write_text("users: {a: {tenants: {" + ", ".join(f"t{n}: {{}}" for n in range(300)) + "}}}\n")
    said = subprocess.run(
        f"{sys.executable} -m atcgen plan | head -1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == "{\n"
    assert said.stderr == ""


def test_an_application_that_is_not_there_is_seen_before_it_is_needed(atc: Atc, tmp_path: Path) -> None:
    """A warning for who only looks; an error, and nothing is touched, for who runs it."""
    (tmp_path / "atc.yml").write_text("app: {root: calender}\nusers: {a: {tenants: {x: {}}}}\n")

    looked, ran = atc("check"), atc("run")

    said = f"app.root: '{tmp_path}/calender' is no directory of this machine"
    assert looked.returncode == 0
    assert f"atc.yml:1:13: warning: {said}" in looked.stderr
    assert ran.returncode == 1
    assert f"atc.yml:1:13: error: {said}" in ran.stderr
    assert not (tmp_path / ".atc/current").exists()


def test_who_only_looks_writes_nothing(atc: Atc, tmp_path: Path) -> None:
    """No state directory, no secret."""
    for words in (["check"], ["plan"], ["diff"], ["explain", "/"], ["schema"]):
        atc(*words)

    assert [each.name for each in tmp_path.iterdir()] == ["atc.yml"]


KEYS = "needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def test_a_bucket_without_keys_is_said_at_once(atc: Atc, tmp_path: Path) -> None:
    """A warning for who only looks; who runs it is told before anything listens."""
    bucket = "storage: {replica: s3://bkt/p, endpoint: 'http://127.0.0.1:9'}\n"
    (tmp_path / "atc.yml").write_text("server: {bind: 192.0.2.1}\n" + bucket + TWO)
    none = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}

    looked, ran = atc("check", **none), atc("run", **none)
    with_keys = atc("check", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")

    assert looked.returncode == with_keys.returncode == 0
    assert f"warning: storage.replica: s3://bkt/p {KEYS} [no-store]" in looked.stderr
    assert (ran.returncode, ran.stderr.count(f"error: s3://bkt/p {KEYS}\n")) == (3, 1)
    assert not (tmp_path / ".atc/current").exists()
    assert KEYS not in with_keys.stderr


def test_a_directory_for_copies_that_is_not_there_is_said_at_once(atc: Atc, tmp_path: Path) -> None:
    """One that atc makes is not missed; any other may be mounted later, so it is a warning."""
    home = tmp_path / "home"
    home.mkdir()

    def said(store: str) -> str:
        (home / "atc.yml").write_text(f"storage: {{replica: 'file:{store}'}}\n" + TWO)
        looked = atc("check", "-c", "home/atc.yml")
        assert looked.returncode == 0
        return looked.stderr

    missing = f"warning: storage.replica: file://{tmp_path}/disk does not exist: there is no such directory [no-store]"
    assert missing in said(f"{tmp_path}/disk")
    assert missing in said("../disk")
    assert "no-store" not in said("copies")
    (tmp_path / "disk").mkdir()
    assert "no-store" not in said("../disk")


def test_a_bucket_that_does_not_answer_is_exit_code_three(atc: Atc, tmp_path: Path) -> None:
    """Each time, whatever the client of the store is still about to do when the command is done."""
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        (tmp_path / "atc.yml").write_text(f"storage: {{replica: s3://bkt/p, endpoint: '{endpoint}'}}\n" + TWO)
        name = atc("store").stdout.strip()
        (tmp_path / ".atc/current").symlink_to(f"generations/{name}")
        keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

        with ThreadPoolExecutor() as pool:
            said = list(pool.map(lambda _: atc("backup", "list", "a/x", **keys), range(6)))

    assert [each.returncode for each in said] == [3] * 6
    assert {each.stderr for each in said} == {f"error: s3://bkt/p at {endpoint} does not answer\n"}


def test_a_restore_that_cannot_go_anywhere_asks_nobody(atc: Atc, tmp_path: Path) -> None:
    """Neither the store nor a running atc; nothing is made."""
    file = tmp_path / "file"
    file.touch()

    def said(*words: str) -> tuple[int, str]:
        done = atc("backup", "restore", "a/x", *words)
        return done.returncode, done.stderr.strip().splitlines()[0 if done.returncode == 3 else -1]

    assert said("--to", str(file)) == (3, f"error: {file} is no directory")
    assert said("--to", "deep/down/here") == (3, f"error: {tmp_path}/deep/down is no directory")
    assert said("--in-place", "--to", "x") == (2, "Error: only one of --to, --as and --in-place")
    assert said() == (2, "Error: say where to: one of --to, --as and --in-place")
    assert not (tmp_path / "deep").exists()
