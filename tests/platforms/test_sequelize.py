"""Sequelize applications as tenants: how they are known, and the example, for real."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atcgen.platforms.sequelize import PLATFORM
from atcgen.system.application import ApplicationTree
from tests.platforms.harness import verify
from tests.platforms.nodes import calendar, directory, missing
from tests.platforms.trees import Texts


@pytest.mark.system
@pytest.mark.skipif(bool(missing("sequelize")), reason=missing("sequelize"))
def test_the_calendar_of_the_example() -> None:
    """As its atc.yml has it."""
    verify(calendar("sequelize"))


def test_the_example_is_known_for_what_its_atc_yml_says() -> None:
    """Besides what it is called and where it is."""
    said = calendar("sequelize").app
    found = PLATFORM.detect(ApplicationTree(directory("sequelize")))

    assert found
    assert {**found.app, "static": "public"} == {
        key: value for key, value in said.items() if key not in ("platform", "env", "root")
    }
    assert found.app["static"] == {"": "public"}


def app_of(configuration: str, name: str = "config/config.json", **files: str) -> dict[str, Any]:
    """What is needed by one with this configuration, which has a migration unless `files` say so."""
    package = {"dependencies": {"sequelize": "^6.37.8"}, "scripts": {"start": "node server.js"}}
    texts = {"package.json": json.dumps(package), "server.js": "app.listen(process.env.PORT)", name: configuration}
    found = PLATFORM.detect(Texts(texts | (files or {"migrations/1-a.js": ""})))
    assert found
    return dict(found.app)


def test_its_database_is_found_in_what_is_said_of_production() -> None:
    """In JSON as `sequelize init` writes it, or by a variable."""
    named = {"development": {"storage": "dev.sqlite"}, "production": {"dialect": "sqlite", "storage": "db/live.sqlite"}}
    variable = {"production": {"use_env_variable": "SHOWS_DB"}}

    assert app_of(json.dumps(named)) == {"private": ["db"], "databases": ["db/live.sqlite"]}
    assert app_of(json.dumps(variable)) == {"env": {"SHOWS_DB": "sqlite:${database}"}}
    assert app_of(json.dumps({"production": {"use_env_variable": "DATABASE_URL"}})) == {}
    module = "module.exports = { production: { dialect: 'sqlite', storage: process.env.DB_STORAGE } }"
    assert app_of(module, "config/config.js") == {"env": {"DB_STORAGE": "${database}"}}


def test_one_without_migrations_prepares_nothing() -> None:
    """As with `sequelize.sync()`."""
    assert app_of("{}", README="") == {"prepare": ""}
    assert PLATFORM.detect(Texts({"package.json": '{"dependencies": {"express": "5"}}'})) is None
