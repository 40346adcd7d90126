"""Applications as their frameworks make them: `atc init` and `atc run` serve them unchanged, alone and as many."""

from __future__ import annotations

import json
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
FORM = "application/x-www-form-urlencoded"
# What applications write as they run, and no release has.
WRITTEN = re.compile(
    r"(?:^|/)(?:\.atc|\.log|\.venv|data|log|tmp|node_modules|__pycache__|staticfiles|storage|public/assets)(?:/|$)"
)


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
    """With a scaffold; atc compiles its assets, once for all tenants."""
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


SERVER = """\
const express = require("express");
const { Item } = require("./models");
const app = express();
app.use(express.urlencoded({ extended: false }));
app.get("/items", async (request, response) => {
  const items = await Item.findAll();
  response.send(`<!doctype html><title>Items</title><a href="/items">Items</a> ${items.length}`);
});
app.post("/items", async (request, response) => {
  await Item.create({ name: request.body.name });
  response.redirect("/items");
});
app.listen(process.env.PORT);
"""


def node_modules(name: str, program: str, home: Path) -> Path:
    """The programs that an example has installed, lent to an application."""
    installed = EXAMPLES / name / "node_modules"
    if not shutil.which("node") or not (installed / ".bin" / program).exists():
        pytest.skip(f"{program} is not installed: run make {name}")
    (home / "node_modules").symlink_to(installed)
    return home / "node_modules/.bin" / program


def test_sequelize_init(place: Path) -> None:
    """With a model, its migration and a server that knows nothing of prefixes."""
    program = str(node_modules("calendar-sequelize", "sequelize-cli", place))
    made(program, "init", at=place)
    settings = {"dialect": "sqlite", "storage": "./database.sqlite3"}
    (place / "config/config.json").write_text(json.dumps({"development": settings, "production": settings}))
    made(program, "model:generate", "--name", "Item", "--attributes", "name:string", at=place)
    (place / "server.js").write_text(SERVER)
    package = {"name": "shows", "scripts": {"start": "node server.js"}}
    dependencies = {"express": "5", "sequelize": "6", "sqlite3": "6"}
    (place / "package.json").write_text(json.dumps({**package, "dependencies": dependencies}))

    becomes_a_service(place, "/items", '<title>Items</title>')
    with serving(place) as server:
        page(server, "/boston/2025/april/items", place)
        sent = server.ask("/boston/2025/april/items", "POST", b"name=x", {"Content-Type": FORM})
        assert (sent.status, sent.headers["location"]) == (302, "/boston/2025/april/items")
        assert "</a> 1" in page(server, "/boston/2025/april/items", place)
        assert "</a> 0" in page(server, "/chicago/2025/may/items", place)


def test_prisma_init(place: Path) -> None:
    """Before there is a server: it is known, and what is missing is said."""
    program = str(node_modules("calendar-prisma", "prisma", place))
    (place / "package.json").write_text('{"dependencies": {"@prisma/client": "6"}}')
    nothing = dict.fromkeys(("PRISMA_SCHEMA_ENGINE_BINARY", "PRISMA_QUERY_ENGINE_LIBRARY"), "/bin/true")
    made(program, "init", "--datasource-provider", "sqlite", at=place, **nothing)

    said = atc(place, "init", "--yes")
    assert "Prisma: " in said
    assert "its sources do not read PORT" in said
    assert "prisma db push" in (place / "config/atc.yml").read_text()
    assert "1 tenants here" in atc(place, "check")


def test_typeorm_init(place: Path) -> None:
    """Its server has a port of its own, which is said; the database that it names is private."""
    program = str(node_modules("calendar-typeorm", "typeorm", place))
    npm = place / "bin/npm"  # it would install what it has just written down
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\n")
    npm.chmod(0o755)
    words = ("init", "--name", "shows", "--database", "better-sqlite3", "--express")
    made(program, *words, at=place, PATH=f"{npm.parent}:{os.environ['PATH']}")

    said = atc(place / "shows", "init", "--yes")
    assert "TypeORM: typeorm" in said
    assert "its sources do not read PORT" in said
    assert "private:\n  - database.sqlite" in (place / "shows/config/atc.yml").read_text()
    assert "1 tenants here" in atc(place / "shows", "check")
