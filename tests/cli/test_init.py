"""`atc init` and `atc import` as a person uses them: what they print, write and ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Atc

SERVE = "bin/serve --socket ${socket}"


@pytest.fixture
def bare(atc: Atc, tmp_path: Path) -> Atc:
    """The same in a directory with an application, and no atc.yml."""
    (tmp_path / "atc.yml").unlink()
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/a.html").write_text("".join(f'<a href="/{number}">x</a>\n' for number in range(9)))
    return atc


def test_it_writes_what_checks_without_a_complaint(bare: Atc, tmp_path: Path) -> None:
    """And says what it did, what a prefix breaks, and what comes next."""
    said = bare("init", "--start", SERVE)

    assert (said.returncode, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert lines[:3] == ["any command: your command", "+ config/atc.yml", "+ Dockerfile"]
    assert "9 places will not survive a prefix such as /bellevue/2025/winter:" in lines
    assert '  templates/a.html:1:4: link: href="/0"' in lines
    assert "  … `atc init --report` shows all" in lines
    assert lines[-1] == "next: atc run, and open http://localhost:8080/"
    assert bare("check").returncode == 0
    assert "1 tenants here" in bare("check").stdout


def test_twice_changes_nothing(bare: Atc, tmp_path: Path) -> None:
    """Nor does it ask."""
    bare("init", "--start", SERVE)
    before = {each: each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()}
    said = bare("init")

    assert said.returncode == 0
    assert "nothing to write: everything is there" in said.stdout
    assert {each: each.read_bytes() for each in before} == before


def test_diff_writes_nothing(bare: Atc, tmp_path: Path) -> None:
    """It shows every file that would be written."""
    said = bare("init", "--start", SERVE, "--diff")

    assert said.returncode == 0
    assert "+++ b/config/atc.yml" in said.stdout
    assert f"+  start: {SERVE}" in said.stdout
    assert not (tmp_path / "config").exists()
    assert not (tmp_path / "Dockerfile").exists()


def test_it_asks_before_it_changes_what_is_there(bare: Atc, tmp_path: Path) -> None:
    """Without an answer it changes nothing at all; `--yes` is one."""
    (tmp_path / "Dockerfile").write_text("FROM debian:12-slim\nCMD x\n")
    refused = bare("init", "--start", SERVE)

    assert refused.returncode == 1
    assert "Change what is marked with '~'?" in refused.stdout
    assert not (tmp_path / "config").exists()
    assert (tmp_path / "Dockerfile").read_text() == "FROM debian:12-slim\nCMD x\n"
    assert bare("init", "--start", SERVE, "--yes").returncode == 0
    assert '"atc", "run"' in (tmp_path / "Dockerfile").read_text()


def test_many_tenants(bare: Atc, tmp_path: Path) -> None:
    """Those that are named, or two to begin with."""
    bare("init", "--start", SERVE)
    said = bare("init", "--multi", "--yes", "--tenant", "a/2025/x", "--tenant", "b/y")

    assert said.returncode == 0
    assert "2 tenants here" in bare("check").stdout
    assert "index: true" in (tmp_path / "config/atc.yml").read_text()
    assert "2 tenants here" in (bare("init", "--multi", "--yes"), bare("check"))[1].stdout


@pytest.mark.parametrize("tenant", ["a", "/", "a b/c", ".."])
def test_a_tenant_that_cannot_be_is_a_wrong_command_line(bare: Atc, tenant: str) -> None:
    """Exit code 2; a user alone is a tenant at the user's own prefix."""
    said = bare("init", "--start", SERVE, "--tenant", tenant)

    assert said.returncode == (0 if tenant == "a" else 2)


def test_an_unknown_application_is_asked_about(bare: Atc) -> None:
    """Exit code 3, with what to say."""
    said = bare("init")

    assert said.returncode == 3
    assert "nothing here says how this application is started" in said.stderr
    assert "--start" in said.stderr


def test_a_database_that_is_there_is_pointed_out(bare: Atc, tmp_path: Path) -> None:
    """With where a copy has to be; it stays."""
    (tmp_path / "app.sqlite3").write_text("data")
    said = bare("init", "--start", SERVE)

    assert "a database: app.sqlite3" in said.stdout
    assert "copy it to data/_root/" in said.stdout
    assert (tmp_path / "app.sqlite3").read_text() == "data"


def test_the_report_shows_everything(bare: Atc) -> None:
    """As `atc check --prefix` does."""
    reported = bare("init", "--start", SERVE, "--report")
    checked = bare("check", "--prefix")

    assert reported.stdout.count("templates/a.html:") == checked.stdout.count("templates/a.html:") == 9
    assert checked.returncode == 0
    assert "9 places will not survive a prefix" in checked.stdout
    assert "templates/a.html" not in bare("check").stdout


def test_import_prints_or_writes(atc: Atc, tmp_path: Path) -> None:
    """What is lost goes to the standard error output; a file that is there stays."""
    source = "2025:\n  boston:\n    :name: Boston\n    :logo: x\n    :events:\n      april:\n        :name: April\n"
    (tmp_path / "showcases.yml").write_text(source)
    printed = atc("import", "showcases.yml")
    written = atc("import", "showcases.yml", "-o", "new.yml")

    assert (printed.returncode, written.returncode) == (0, 0)
    assert "users:\n  boston:\n    name: Boston\n" in printed.stdout
    assert printed.stderr == "showcases.yml:4:5: 2025.boston.:logo: belongs to the application: atc knows no logos\n"
    assert (tmp_path / "new.yml").read_text() == printed.stdout
    assert atc("import", "showcases.yml", "-o", "new.yml").returncode == 3
    assert atc("check", "-c", "new.yml").returncode == 0


@pytest.mark.parametrize(("text", "code"), [("a: [", 1), ("other: 1", 3), ("- 1", 3)])
def test_import_of_something_else(atc: Atc, tmp_path: Path, text: str, code: int) -> None:
    """Says what is wrong."""
    (tmp_path / "other.yml").write_text(text)
    said = atc("import", "other.yml")

    assert said.returncode == code
    assert "other.yml" in said.stderr
    assert said.stdout == ""


def test_the_page_may_be_read_by_nginx_and_nothing_else_may(bare: Atc, tmp_path: Path) -> None:
    """Its workers may be another user; everything else holds environments."""
    bare("init", "--start", SERVE, "--multi")
    bare("build", "-o", "built")

    modes = {each.parent.name: each.stat().st_mode & 0o777 for each in (tmp_path / "built").glob("*/*.*")}
    assert (modes["index"], modes["launch"], modes["nginx"]) == (0o644, 0o600, 0o600)
