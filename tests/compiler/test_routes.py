"""Routes in the form of fly-atc: name, endpoint and database follow from each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcgen.compiler.routes import Inferred, infer
from atcgen.compiler.schema import Route
from tests.compiler.compiling import compiled, machine


@pytest.mark.parametrize(
    ("written", "inferred"),
    [
        ({}, ("index", "", "index")),
        ({"name": "index"}, ("index", "", "index")),
        ({"name": "Sam"}, ("Sam", "sam", "sam")),
        ({"name": "Sam & Co."}, ("Sam & Co.", "sam-co", "sam-co")),
        ({"endpoint": "/sam/"}, ("sam", "sam", "sam")),
        ({"endpoint": "/a/b"}, ("b", "a/b", "b")),
        ({"endpoint": "/"}, ("index", "", "index")),
        ({"database": "sam"}, ("sam", "sam", "sam")),
        ({"name": "index", "database": "production"}, ("index", "", "production")),
        ({"name": "Sam", "endpoint": "/x"}, ("Sam", "x", "sam")),
        ({"name": "Sam", "database": "db"}, ("Sam", "sam", "db")),
        ({"endpoint": "/x", "database": "db"}, ("x", "x", "db")),
        ({"name": "..", "endpoint": "/x"}, ("..", "x", "x")),
        ({"name": ".hidden."}, (".hidden.", "hidden", "hidden")),
        ({"name": "Sam", "endpoint": "/x", "database": "db"}, ("Sam", "x", "db")),
    ],
)
def test_what_is_missing_follows(written: dict[str, Any], inferred: tuple[str, str, str]) -> None:
    """Any one of the three is enough."""
    assert infer(Route.model_validate(written)) == Inferred(*inferred)


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20))
def test_an_endpoint_is_always_a_path(name: str) -> None:
    """Whatever somebody is called, no segment of the path is a dot or two."""
    endpoint = infer(Route(name=name)).endpoint

    assert Route.model_validate({"endpoint": endpoint}).endpoint == endpoint


def test_a_route_gets_what_fly_atc_gave() -> None:
    """Scope, name and a database of its own; a DATABASE_URL of the machine says where."""
    text = "app: {start: serve}\nroutes: [{name: Sam}, {name: index, database: production}]"
    sam, root = compiled(text, machine({"DATABASE_URL": "sqlite3:///data/db/main.sqlite3"})).plan.tenants

    assert dict(sam.env) == {
        "DATABASE_URL": "sqlite3:///data/db/sam.sqlite3",
        "FLY_ATC_NAME": "Sam",
        "FLY_ATC_SCOPE": "/sam",
        "PORT": str(sam.port),
    }
    assert dict(root.env)["DATABASE_URL"] == "sqlite3:///data/db/production.sqlite3"
    assert dict(root.env)["FLY_ATC_SCOPE"] == ""


def test_without_a_database_url_a_route_has_its_own_file() -> None:
    """It lies in the tenant's directory."""
    (sam,) = compiled("routes: [{name: Sam}]").plan.tenants

    assert dict(sam.env)["DATABASE_URL"] == f"sqlite3:{sam.databases[0]}"
    assert sam.databases[0].endswith("/sam/sam.sqlite3")


def test_an_own_database_url_is_kept() -> None:
    """What the owner writes is not overridden."""
    (sam,) = compiled("routes: [{name: Sam, env: {DATABASE_URL: own}}]").plan.tenants

    assert dict(sam.env)["DATABASE_URL"] == "own"
