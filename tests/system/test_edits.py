"""Edits of atc.yml while it runs: only what changed is touched, and nobody else notices."""

from __future__ import annotations

import json
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from tests.system.clients import Hammering
from tests.system.running import Atc, running, wait_until

pytestmark = pytest.mark.system


def test_only_what_changed_is_touched(atc: Atc) -> None:
    """A tenant that is added answers, one that is removed is gone with its process, a neighbour keeps its own."""
    neighbour, removed = atc.pid("/a/x/"), atc.pid("/a/y/")

    atc.edit("y: {}", "z: {pin: true}")
    wait_until(lambda: atc.get("/a/z/")[0] == 200)
    wait_until(lambda: atc.get("/a/y/")[0] == 404)
    wait_until(lambda: not Path(f"/proc/{removed}").exists())

    assert atc.pid("/a/x/") == neighbour
    assert {each["id"] for each in atc.status()["tenants"]} == {"a/x", "a/z"}


def test_a_changed_environment_restarts_the_tenant_without_loss(atc: Atc) -> None:
    """The new value is served, and no request in between fails."""
    atc.get("/a/x/")
    atc.edit("'${tenant.id}'", "'changed-${tenant.id}'")
    answers: list[tuple[int, str]] = []

    def has_changed() -> bool:
        answers.append(atc.get("/a/x/"))
        return answers[-1][1].startswith("changed-a/x")

    wait_until(has_changed)

    assert {200} == {status for status, _ in answers}


def test_changes_in_a_row_all_come_into_force(atc: Atc) -> None:
    """Each waits for the process that the one before retired; the last one wins, and nobody is lost."""
    atc.pid("/a/x/")
    with Hammering(atc.port, "/a/x/", clients=8) as hammering:
        atc.edit("x: {}", "x: {env: {WORD: w0}}")
        for number in range(3):
            word = f'"WORD": "w{number}"'
            wait_until(lambda word=word: word in atc.ask("/a/x/environment").text)  # type: ignore[misc]
            atc.edit(f"w{number}", f"w{number + 1}")
        wait_until(lambda: '"WORD": "w3"' in atc.ask("/a/x/environment").text)

    assert hammering.failures == []


def test_clients_of_other_tenants_do_not_notice_edits(atc: Atc) -> None:
    """Fifty clients go on while tenants are added, renamed, removed and changed: none of their requests fails."""
    atc.pid("/a/x/")
    with Hammering(atc.port, "/a/x/", clients=50) as hammering:
        for old, new, live in (
            ("y: {}", "y: {}, z: {}", "/a/z/"),
            ("z: {}", "renamed: {}", "/a/renamed/"),
            ("y: {}, ", "", "/a/renamed/"),
            ("renamed: {}", "renamed: {env: {MORE: '1'}}, last: {}", "/a/last/"),
        ):
            atc.edit(old, new)
            wait_until(lambda live=live: atc.get(live)[0] == 200)  # type: ignore[misc]

    assert hammering.answered > 100
    assert hammering.failures == []


def test_nginx_reloads_only_when_its_text_changed(atc: Atc) -> None:
    """An edit of a timeout, of idle or of an environment leaves nginx alone."""
    workers = _workers(atc)

    atc.edit("idle: 1h", "idle: 2h")
    wait_until(lambda: "nginx_reloaded=False" in atc.log())
    assert _workers(atc) == workers

    atc.edit("y: {}", "z: {}")
    wait_until(lambda: "nginx_reloaded=True" in atc.log())
    assert _workers(atc) != workers


def test_a_bad_edit_changes_nothing(atc: Atc) -> None:
    """The generation before it runs on; the log and `atc status` say what is wrong, until it is mended."""
    before = atc.pid("/a/x/")

    atc.edit("users:", "usrs:")
    wait_until(lambda: "unknown key 'usrs'" in atc.status()["problem"])

    assert "atc.yml:7:1: error: unknown key 'usrs' [unknown-key]" in atc.log()
    assert atc.pid("/a/x/") == before
    atc.edit("usrs:", "users:")
    wait_until(lambda: atc.status()["problem"] == "")
    assert atc.pid("/a/x/") == before


def test_a_generation_that_nginx_cannot_run_is_rolled_back(atc: Atc) -> None:
    """A port that somebody else has: the old one goes on, and the tenants the edit brought are forgotten."""
    before = atc.pid("/a/x/")
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        text = (atc.home / "atc.yml").read_text().replace("y: {}", "y: {}, z: {}")
        atc.write(text.replace(f"http_port: {atc.port}", f"http_port: {taken.getsockname()[1]}"))
        wait_until(lambda: bool(atc.status()["problem"]))
        assert "Address already in use" in atc.status()["problem"]
        wait_until(lambda: {each["id"] for each in atc.status()["tenants"]} == {"a/x", "a/y"})
        assert atc.pid("/a/x/") == before


def test_a_tenant_that_is_removed_and_comes_back_answers(atc: Atc) -> None:
    """Its data is where it was."""
    atc.ask("/a/y/note", "POST", b"hello")
    for _ in range(3):
        atc.edit("y: {}", "z: {}")
        wait_until(lambda: atc.get("/a/y/")[0] == 404)
        atc.edit("z: {}", "y: {}")
        wait_until(lambda: atc.get("/a/y/")[0] == 200)


def test_a_program_entry_that_changes_replaces_the_process(atc: Atc) -> None:
    """What supervisord has to know anew, such as a prepare step, comes into force; no request fails meanwhile."""
    before = atc.pid("/a/x/")
    with Hammering(atc.port, "/a/x/", clients=4) as hammering:
        atc.edit("  start:", "  prepare: touch prepared-${tenant.dir}\n  start:")
        wait_until(lambda: "prepare failed" in json.dumps(atc.status()))
        atc.edit("touch prepared-${tenant.dir}", "touch ${tenant.dir}/prepared")
        wait_until((atc.home / "data/a.x/prepared").exists)
        wait_until(lambda: atc.get("/a/x/")[0] == 200)

    assert atc.pid("/a/x/") != before
    assert {503} >= {failure.status for failure in hammering.failures}


def test_edits_through_symlinks_and_swapped_directories_are_seen() -> None:
    """As a ConfigMap is mounted: atc.yml -> ..data/atc.yml, and ..data is swapped."""
    with running() as atc:
        text = (atc.home / "atc.yml").read_text()
        _swap(atc.home, "one", text)
        (atc.home / "atc.yml").unlink()
        os.symlink("..data/atc.yml", atc.home / "atc.yml")
        wait_until(lambda: atc.get("/a/y/")[0] == 200)

        _swap(atc.home, "two", text.replace("y: {}", "z: {}"))

        wait_until(lambda: atc.get("/a/z/")[0] == 200)
        wait_until(lambda: atc.get("/a/y/")[0] == 404)


def _swap(home: Path, name: str, text: str) -> None:
    (home / name).mkdir()
    (home / name / "atc.yml").write_text(text)
    os.symlink(name, home / "..next")
    (home / "..next").replace(home / "..data")


def _workers(atc: Atc) -> set[str]:
    master = atc.pid_of("atc-nginx")
    return set(Path(f"/proc/{master}/task/{master}/children").read_text().split())


def test_an_empty_file_is_no_wish_to_stop_everything(atc: Atc) -> None:
    """Copies that are slow, and editors that truncate first, leave one for a moment."""
    before = atc.pid("/a/x/")
    text = (atc.home / "atc.yml").read_text()

    (atc.home / "atc.yml").write_text("")
    wait_until(lambda: "says nothing of users" in atc.status()["problem"])
    assert atc.pid("/a/x/") == before

    (atc.home / "atc.yml").write_text(text)
    wait_until(lambda: atc.status()["problem"] == "")
    assert atc.pid("/a/x/") == before


def test_a_wrong_directory_takes_nothing_down(atc: Atc) -> None:
    """It is refused before any process is touched."""
    before = atc.pid("/a/x/")

    atc.edit("root: ", "root: /nowhere")
    wait_until(lambda: "is no directory of this machine" in atc.status()["problem"])

    assert atc.pid("/a/x/") == before
