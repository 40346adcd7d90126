"""`atc push`, `pull` and `rollback` where atc does not know from before what a file was made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from atcgen.cli import main

Call = Callable[..., Result]
TEXT = """\
fleet: {secret: known to all machines, config: "file:STORE", app: shows}
users: {a: {region: sea, tenants: {x: {}}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An atc.yml of which nothing was pushed."""
    (tmp_path / "store").mkdir()
    (tmp_path / "atc.yml").write_text(TEXT.replace("STORE", str(tmp_path / "store")))
    return tmp_path / "atc.yml"


@pytest.fixture
def call(file: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs `atc WORDS` beside an atc.yml."""

    def run(*words: str, at: Path = file) -> Result:
        monkeypatch.chdir(at.parent)
        return CliRunner().invoke(main, list(words))

    return run


def copy(file: Path, name: str) -> Path:
    """The file as it is, in another directory, without its state."""
    fresh = file.parent / name / "atc.yml"
    fresh.parent.mkdir()
    fresh.write_text(file.read_text())
    return fresh


def test_a_copy_of_a_file_is_known_by_what_it_says(call: Call, file: Path) -> None:
    """It was made from that edition: what is newer replaces it, and what differs is shown against it."""
    assert call("push").exit_code == 0
    old, edited = copy(file, "old"), copy(file, "edited")
    edited.write_text(edited.read_text() + "# of mine\n")
    file.write_text(file.read_text().replace("x: {}", "y: {}"))
    assert call("push").exit_code == 0

    refused, pulled = call("push", at=old), call("pull", at=old)

    assert "was made from edition 1, and there is edition 2" in refused.output
    assert pulled.exit_code == 0, pulled.output
    assert old.read_text() == file.read_text()
    assert "was never pulled" in call("pull", at=edited).output


def test_a_wrong_secret_is_not_taken_for_an_empty_store(call: Call, file: Path) -> None:
    """Something was pushed, and nobody here can tell by whom."""
    assert "nothing was pushed yet" in call("pull").output
    assert call("push").exit_code == 0
    file.write_text(file.read_text().replace("known to all machines", "another"))

    said = call("pull")

    assert said.exit_code == 3
    assert "its signature was not made with fleet.secret" in said.output
    assert "nothing was pushed" not in said.output


def test_a_rollback_says_why(call: Call, file: Path) -> None:
    """Beside which edition it is."""
    assert call("push").exit_code == 0
    file.write_text(file.read_text().replace("x: {}", "y: {}"))
    assert call("push").exit_code == 0

    done = call("rollback", "1", "-m", "y was slow")

    assert done.exit_code == 0, done.output
    assert json.loads(call("history", "--json").output)[0]["message"] == "as edition 1: y was slow"
