"""Prisma applications as tenants: how they are known, and the example, for real."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atcgen.platforms.prisma import PLATFORM
from atcgen.system.application import ApplicationTree
from tests.platforms.harness import verify
from tests.platforms.nodes import calendar, directory, missing
from tests.platforms.trees import Texts


@pytest.mark.system
@pytest.mark.skipif(bool(missing("prisma")), reason=missing("prisma"))
def test_the_calendar_of_the_example() -> None:
    """As its atc.yml has it."""
    verify(calendar("prisma"))


def test_the_example_is_known_for_what_its_atc_yml_says() -> None:
    """Besides what it is called and where it is."""
    said = calendar("prisma").app
    found = PLATFORM.detect(ApplicationTree(directory("prisma")))

    assert found
    assert {**found.app, "static": "public"} == {
        key: value for key, value in said.items() if key not in ("platform", "env", "root")
    }
    assert found.app["static"] == {"": "public"}


def app_of(source: str, **files: str) -> dict[str, Any]:
    """What is needed by one whose schema has this source of data, and which has a migration unless `files` say so."""
    package = {"dependencies": {"express": "5", "@prisma/client": "^6.19.3"}, "scripts": {"start": "node server.js"}}
    schema = f'generator client {{}}\ndatasource db {{\n  provider = "sqlite"\n  {source}\n}}\n'
    texts = {"package.json": json.dumps(package), "server.js": "process.env.PORT", "prisma/schema.prisma": schema}
    found = PLATFORM.detect(Texts(texts | (files or {"prisma/migrations/1_a/migration.sql": ""})))
    assert found
    assert found.because == "@prisma/client 6.19.3 in prisma/schema.prisma"
    return dict(found.app)


def test_its_database_is_found_in_the_schema() -> None:
    """By the variable that names it, or beside the schema."""
    assert app_of('url = env("DATABASE_URL")') == {}
    assert app_of('url = env("CALENDAR_URL")') == {"env": {"CALENDAR_URL": "file:${database}"}}
    assert app_of('url = "file:./dev.db"') == {"private": ["prisma/dev.db"], "databases": ["prisma/dev.db"]}
    assert app_of('url = "file:../data/dev.db"') == {"private": ["data"], "databases": ["data/dev.db"]}


def test_without_migrations_the_schema_is_pushed() -> None:
    """As such an application is deployed."""
    assert app_of('url = env("DATABASE_URL")', README="") == {
        "prepare": "node_modules/.bin/prisma db push --skip-generate"
    }


def test_the_client_is_generated_before_anything_is_built() -> None:
    """Its types are used by what is."""
    package = {"scripts": {"start": "node .", "build": "tsc"}}
    files = {"package.json": json.dumps(package), "prisma/schema.prisma": "", "pnpm-lock.yaml": "x"}
    install = "(test -d node_modules || pnpm install --frozen-lockfile)"

    found = PLATFORM.detect(Texts(files))

    assert found
    assert found.app["build"] == f"{install} && node_modules/.bin/prisma generate && npm run build"
    assert app_of('url = env("DATABASE_URL")', **{"pnpm-lock.yaml": "x", "prisma/migrations/1/migration.sql": ""}) == {
        "build": f"{install} && node_modules/.bin/prisma generate"
    }


def test_one_without_sqlite_is_told_of() -> None:
    """It may run, and its data is not its own."""
    schema = 'datasource db {\n provider = "postgresql"\n url = env("DATABASE_URL")\n}'
    found = PLATFORM.detect(Texts({"package.json": '{"scripts": {"start": "node ."}}', "prisma/schema.prisma": schema}))

    assert found
    assert any("postgresql" in each for each in found.says)
    assert PLATFORM.detect(Texts({"package.json": '{"scripts": {"start": "node ."}}'})) is None
