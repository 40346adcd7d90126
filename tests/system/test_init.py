"""Applications as their frameworks make them: `atc init` and `atc run` serve them unchanged, alone and as many."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.system.running import Atc, serving, wait_until

pytestmark = pytest.mark.system

EXAMPLES = Path(__file__).parents[2] / "examples"
OURS = {"config/atc.yml", "Dockerfile", ".dockerignore", ".gitignore"}
MANY = ("--tenant", "boston/2025/april", "--tenant", "chicago/2025/may")
# What applications write as they run, and no release has.
WRITTEN = re.compile(r"(?:^|/)(?:\.atc|\.log|\.venv|data|log|tmp|node_modules|__pycache__|staticfiles|storage)(?:/|$)")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a short name, for the kernel's limit on socket paths."""
    home = Path(tempfile.mkdtemp(prefix="atc-"))
    yield home
    shutil.rmtree(home)


def files(home: Path) -> Mapping[str, bytes]:
    """The application's files, without what it writes as it runs."""
    found = {str(each.relative_to(home)): each for each in home.rglob("*") if each.is_file()}
    return {name: file.read_bytes() for name, file in found.items() if not WRITTEN.search(name)}


def atc(home: Path, *words: str) -> str:
    """An atc command in the application's directory; what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "atcgen", *words], cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stderr
    return done.stdout


def made(*words: str, at: Path, **environ: str) -> None:
    """Run what makes an application."""
    done = subprocess.run(words, cwd=at, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def page(server: Atc, path: str, home: Path) -> str:
    """A page, once its tenant has started, or what the tenant said."""
    wait_until(lambda: server.ask(path).status != 503, 120)
    answer = server.ask(path)
    said = "".join(each.read_text(errors="replace")[-3000:] for each in home.glob(".atc/logs/tenants/*"))
    assert answer.status == 200, f"{path}: {answer.status} {answer.text[:300]}\n{said}"
    return answer.text


def becomes_a_service(home: Path, path: str, text: str) -> None:
    """One tenant by one command, many by another; twice is once; the application's own files are what they were."""
    before = files(home)
    assert "+ config/atc.yml" in atc(home, "init", "--yes")
    assert "1 tenants here" in atc(home, "check")
    with serving(home) as server:
        assert text in page(server, path, home)
    once = files(home)
    assert "nothing to write" in atc(home, "init", "--yes")
    assert files(home) == once
    assert {name: once[name] for name in before if name not in OURS} == {
        name: said for name, said in before.items() if name not in OURS
    }

    atc(home, "init", "--multi", "--yes", *MANY)
    many = files(home)
    atc(home, "init", "--multi", "--yes", *MANY)
    assert files(home) == many
    assert {name for name in many if many[name] != once.get(name)} == {"config/atc.yml"}
    assert "2 tenants here" in atc(home, "check")
    with serving(home) as server:
        listed = re.findall(r'href="([^"]*)"', page(server, "/", home))
        assert listed == ["/boston/2025/april/", "/chicago/2025/may/"]
        for prefix in listed:
            shown = page(server, prefix + path.lstrip("/"), home)
            assert text in shown
            links = re.findall(r'(?:href|src|action)="(/[^"]*)"', shown)
            shared = (prefix, "/_atc/static/")  # assets that are compiled once are for all
            assert [each for each in links if not each.startswith(shared)] == []
    databases = {each.parent.name for each in (home / "data").glob("*/*.sqlite3")}
    assert {"_root", "boston.2025.april", "chicago.2025.may"} <= databases


def test_rails_new(place: Path) -> None:
    """With a scaffold; assets are compiled once, as `atc init` says."""
    if not shutil.which("rails") or not shutil.which("bundle"):
        pytest.skip("rails is not installed: run make calendar-rails")
    skipped = ("bundle", "webpack-install", "javascript", "spring", "git", "test", "bootsnap")
    made("rails", "new", "shows", "-d", "sqlite3", *(f"--skip-{each}" for each in skipped), at=place)
    home = place / "shows"
    shutil.copy(EXAMPLES / "calendar-rails/Gemfile", home / "Gemfile")  # what is installed for the example
    made("bundle", "lock", "--local", at=home)
    made(
        *("bin/rails", "generate", "scaffold", "Item", "name:string"),
        at=home,
        RAILS_ENV="production",
        SECRET_KEY_BASE="unused",
    )
    (home / "config/cable.yml").write_text("production: {adapter: async}\n")
    said = atc(home, "init", "--diff")
    assert "platform: rails" in said
    build = re.search(r"^\+RUN (.* bin/rails assets:precompile)$", said, re.MULTILINE)
    assert build
    made("sh", "-c", build[1], at=home)

    becomes_a_service(home, "/items", "Items</h1>")


def test_django_startproject(place: Path) -> None:
    """The admin's page of login, in the environment that the example has."""
    environment = EXAMPLES / "calendar-django/.venv"
    if not (environment / "bin/django-admin").exists():
        pytest.skip("Django is not installed: run make calendar-django")
    made(str(environment / "bin/django-admin"), "startproject", "shows", str(place), at=place)
    (place / ".venv").symlink_to(environment)
    (place / "requirements.txt").write_text("django\ngunicorn\n")

    becomes_a_service(place, "/admin/login/", "Django administration")
