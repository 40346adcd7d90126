"""TypeORM applications as tenants: how they are known, and the example, for real."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atcgen.platforms.typeorm import PLATFORM
from atcgen.system.application import ApplicationTree
from tests.platforms.harness import verify
from tests.platforms.nodes import calendar, directory, missing
from tests.platforms.trees import Texts


@pytest.mark.system
@pytest.mark.skipif(bool(missing("typeorm")), reason=missing("typeorm"))
def test_the_calendar_of_the_example() -> None:
    """As its atc.yml has it."""
    verify(calendar("typeorm"))


def test_the_example_is_known_for_what_its_atc_yml_says() -> None:
    """Besides what it is called and where it is."""
    said = calendar("typeorm").app
    found = PLATFORM.detect(ApplicationTree(directory("typeorm")))

    assert found
    assert {**found.app, "static": "public"} == {
        key: value for key, value in said.items() if key not in ("platform", "env", "root")
    }
    assert found.app["static"] == {"": "public"}


def app_of(source: str, name: str = "data-source.js", **scripts: str) -> dict[str, Any]:
    """What is needed by one with this source of data."""
    package = {"dependencies": {"typeorm": "1.1.1"}, "scripts": {"start": "node server.js", **scripts}}
    texts = {"package.json": json.dumps(package), "server.js": "app.listen(process.env.PORT)", name: source}
    found = PLATFORM.detect(Texts(texts))
    assert found
    return dict(found.app)


def test_migrations_run_by_the_source_of_data_that_is_there() -> None:
    """Or by the package's own script; not where there are none."""
    source = 'new DataSource({ database: process.env.DATABASE_PATH, migrations: ["migrations/*.js"] })'

    assert app_of(source) == {}
    assert app_of(source, "src/data-source.ts") == {
        "prepare": "node_modules/.bin/typeorm-ts-node-commonjs migration:run -d src/data-source.ts"
    }
    assert app_of(source, "src/data-source.ts", migrate="typeorm migration:run -d dist/data-source.js") == {
        "prepare": "node_modules/.bin/typeorm migration:run -d dist/data-source.js"
    }
    assert app_of(source.replace('"migrations/*.js"', "")) == {"prepare": ""}


def test_the_database_of_typeorm_init_is_each_tenants_own() -> None:
    """`database: "database.sqlite"`; one that a variable names is given by it."""
    source = 'new DataSource({ type: "sqlite", database: "database.sqlite", migrations: ["m/*.js"] })'

    assert app_of(source) == {"private": ["database.sqlite"], "databases": ["database.sqlite"]}
    assert app_of(source.replace('"database.sqlite"', "process.env.DB_FILE")) == {"env": {"DB_FILE": "${database}"}}
    assert PLATFORM.detect(Texts({"package.json": '{"dependencies": {"express": "5"}}'})) is None
