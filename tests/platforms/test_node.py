"""Applications on Node as tenants: what their package and their sources say of how they are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from atcgen.platforms import PLATFORMS, detected
from atcgen.platforms.node import PLATFORM, command
from atcgen.system.sqlite import values
from tests.platforms.nodes import directory, missing
from tests.platforms.trees import Texts

LISTENS = "app.listen(process.env.PORT || 3000)\n"


def tree(sources: str = LISTENS, *, start: str = "node server.js", package: Any = None, **files: str) -> Texts:
    """An Express application with one file of sources."""
    said = {"dependencies": {"express": "^5.1.0"}, "scripts": {"start": start}} | (package or {})
    return Texts({"package.json": json.dumps(said), "server.js": sources, **files})


def app_of(files: Texts) -> dict[str, Any]:
    """The keys that it needs besides the preset."""
    found = PLATFORM.detect(files)
    assert found
    return dict(found.app)


def test_one_that_says_nothing_of_a_prefix_needs_nothing_but_the_preset() -> None:
    """And the preset takes the prefix away."""
    found = PLATFORM.detect(tree())

    assert found
    assert (found.because, found.app, found.says) == ("express 5.1.0 in package.json", {}, ())
    assert PLATFORM.app["prefix"] == "strip"


@pytest.mark.parametrize(
    "sources", ["app.use(process.env.BASE_PATH, r)", "const { PORT, BASE_PATH = '' } = process.env", "env['BASE_PATH']"]
)
def test_one_that_reads_a_prefix_keeps_it(sources: str) -> None:
    """By whatever name."""
    kept = {"prefix": "keep", "env": {"BASE_PATH": "${tenant.path}"}}
    read = "process.env" in sources

    assert app_of(tree(LISTENS + sources)) == (kept if read else {})
    assert app_of(tree(LISTENS + sources.replace("BASE_PATH", "URL_PREFIX"))).get("env", {}) == (
        {"URL_PREFIX": "${tenant.path}"} if read else {}
    )


@pytest.mark.parametrize(
    ("sources", "is_socket"),
    [
        ("app.listen(process.env.PORT)", True),
        ("const port = normalizePort(process.env.PORT || '3000')", True),
        ("const port = parseInt(process.env.PORT, 10)", False),
        ("const port = Number(process.env.PORT ?? 3000)", False),
        ("app.listen(+process.env.PORT)", False),
        ("serve({ fetch: app.fetch, port: process.env.PORT })", False),
    ],
)
def test_one_that_takes_its_port_for_a_number_is_given_one(sources: str, is_socket: bool) -> None:
    """Others are given a path."""
    assert app_of(tree(sources)) == ({} if is_socket else {"env": {"PORT": "${port}"}})
    fastify = {"dependencies": {"fastify": "5.0.0"}}
    assert app_of(tree("listen({ port })\nprocess.env.PORT", package=fastify)) == {"env": {"PORT": "${port}"}}


def test_one_that_reads_no_port_is_told_of() -> None:
    """Every tenant would listen on the same one."""
    found = PLATFORM.detect(tree("app.listen(3000)"))

    assert found
    assert "do not read PORT" in found.says[0]


@pytest.mark.parametrize(
    ("script", "start", "env"),
    [
        ("node server.js", "node server.js", {}),
        ("node --enable-source-maps dist/main.js", "node --enable-source-maps dist/main.js", {}),
        ("NODE_ENV=production TZ=UTC node .", "node .", {"TZ": "UTC"}),
        ("cross-env PORT=80 DEBUG=app:* node .", "cross-env PORT=80 DEBUG=app:* node .", {}),
        ("cross-env PORT=80 DEBUG=app node .", "node .", {"DEBUG": "app"}),
        ("nodemon server.js", "node server.js", {}),
        ("tsx src/server.ts", "node_modules/.bin/tsx src/server.ts", {}),
        ("./bin/www", "./bin/www", {}),
        ("node a.js && node ${MAIN}", "node a.js && node $${MAIN}", {}),
    ],
)
def test_a_script_becomes_a_command(script: str, start: str, env: dict[str, str]) -> None:
    """Without npm, and with what npm would have put into PATH."""
    assert command(script) == (start, env)


def test_the_start_is_the_one_for_production_and_not_npm() -> None:
    """A script may run another; without one the file that is there is run."""
    scripts = {"start": "nest start", "start:prod": "npm run serve", "serve": "node dist/main"}

    assert app_of(tree(package={"scripts": scripts})) == {"start": "node dist/main"}
    assert app_of(tree(package={"scripts": {}, "main": "lib/run.js"}, **{"lib/run.js": "1"})) == {
        "start": "node lib/run.js"
    }
    assert app_of(tree(package={"scripts": {}})) == {}


def test_what_is_built_is_what_the_package_says() -> None:
    """By the program whose lock is there."""
    build = {"scripts": {"start": "node server.js", "build": "tsc"}}

    assert app_of(tree(package=build))["build"] == f"({PLATFORM.app['build']}) && npm run build"
    assert app_of(tree(**{"yarn.lock": "x"})) == {
        "build": "test -d node_modules || yarn install --frozen-lockfile"
    }


def test_secrets_and_databases_are_given_by_the_names_they_are_read_by() -> None:
    """And not keys of somebody else's service."""
    names = ("COOKIE_SECRET", "JWT_SECRET", "STRIPE_SECRET_KEY", "DB_FILE", "SQLITE_PATH", "MAIL_HOST", "APP_DB_URL")
    sources = LISTENS + "\n".join(f"process.env.{each}" for each in names)

    assert app_of(tree(sources)) == {
        "env": {
            "APP_DB_URL": "file:${database}",
            "COOKIE_SECRET": "${secret}",
            "DB_FILE": "${database}",
            "JWT_SECRET": "${secret}",
            "SQLITE_PATH": "${database}",
        }
    }


def test_what_it_serves_itself_nginx_serves_if_it_is_there() -> None:
    """Its health and its WebSockets are found as well."""
    sources = LISTENS + (
        'app.use(express.static(path.join(__dirname, "public"), {maxAge: 1}))\n'
        "app.use('/assets', express.static('dist/assets'))\n"
        "app.use('/missing', express.static('missing'))\n"
        'app.get("/healthz", ok)\nnew WebSocketServer({ server, path: "/live/events" })\n'
    )
    files = {"public/a.css": "", "dist/assets/b.js": ""}

    assert app_of(tree(sources, **files)) == {
        "static": {"": "public", "assets": "dist/assets"},
        "health": "/healthz",
        "websocket": "live/events",
    }


def test_a_database_that_is_named_in_the_sources_is_each_tenants_own() -> None:
    """With its directory, where nothing else is in it."""
    opened = LISTENS + "const db = new Database('./data/app.db')"

    assert app_of(tree(opened)) == {"private": ["data"], "databases": ["data/app.db"]}
    beside = {"data/app.db": "", "data/app.db-wal": "", "data/.gitkeep": "", "data/countries.json": "{}"}
    assert app_of(tree(opened, **beside))["private"] == ["data/app.db"]
    assert app_of(tree(opened.replace("./data/app.db", "app.sqlite")))["private"] == ["app.sqlite"]
    for path in (":memory:", "/var/app.db", "../app.db"):
        assert app_of(tree(opened.replace("./data/app.db", path))) == {}
    found = PLATFORM.detect(tree(opened, **beside))
    assert found
    assert found.databases == ("data/app.db",)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"package.json": "{"},
        {"package.json": "[]"},
        {"package.json": '{"devDependencies": {"esbuild": "1"}, "scripts": {"build": "esbuild"}}'},
    ],
)
def test_a_package_that_serves_nothing_is_none(files: dict[str, str]) -> None:
    """As Rails applications have one for their scripts."""
    assert PLATFORM.detect(Texts(files)) is None


def test_what_builds_on_node_is_meant_before_node() -> None:
    """An application of Prisma is one of Node as well."""
    files = tree(**{"prisma/schema.prisma": "", "prisma/migrations/1/migration.sql": ""})

    assert [platform.name for platform, _ in detected(files)] == ["prisma", "node"]


@pytest.mark.system
@pytest.mark.parametrize("name", ["prisma", "typeorm", "sequelize"])
def test_migrations_are_found_in_the_database_once_they_ran(name: str, tmp_path: Path) -> None:
    """As the preset says where they are, in files and in the database."""
    if missing(name):
        pytest.skip(missing(name))
    root, database = tmp_path / "release", tmp_path / "release/data/calendar.sqlite3"
    shutil.copytree(directory(name), root, ignore=shutil.ignore_patterns("node_modules", "data"))
    (root / "node_modules").symlink_to(directory(name) / "node_modules")
    database.parent.mkdir()
    said = PLATFORMS[name].app["migrations"]
    names = {
        found[1]
        for each in root.glob(said["files"])
        if (found := re.search(said.get("name", "([^/]+)$"), str(each.relative_to(root))))
    }
    assert names

    def ran() -> set[str]:
        return values(database, said["table"], said["column"])

    assert not names & ran()
    env = {"NODE_ENV": "production", "DATABASE_PATH": str(database), "DATABASE_URL": f"file:{database}"}
    subprocess.run(PLATFORMS[name].app["prepare"].split(), cwd=root, env=os.environ | env, check=True)
    assert names <= ran()
