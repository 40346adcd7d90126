"""What a platform says of an application is what an owner could say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import atcgen.platforms
from atcgen.platforms import PLATFORMS
from tests.compiler.compiling import compiled, complaints

_ROOM = Path(atcgen.platforms.__file__).parent


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_preset_compiles_as_the_whole_of_app_and_as_a_default(name: str) -> None:
    """Every key of it is one of atc.yml's, and nothing is complained about."""
    start = {} if "start" in PLATFORMS[name].app else {"start": "serve ${socket}"}
    whole = yaml.safe_dump({"app": {**PLATFORMS[name].app, **start}, "users": {"u": {"tenants": {"t": None}}}})
    short = yaml.safe_dump({"app": {"platform": name, **start}, "users": {"u": {"tenants": {"t": None}}}})

    assert complaints(whole) == complaints(short) == ()
    (one,), (two,) = compiled(whole).plan.tenants, compiled(short).plan.tenants
    assert (one.start, one.prepare, one.env, one.databases) == (two.start, two.prepare, two.env, two.databases)


def test_the_owner_wins_over_the_preset() -> None:
    """Key by key, and variable by variable."""
    for name, platform in PLATFORMS.items():
        text = yaml.safe_dump({"app": {"platform": name, "start": "mine ${socket}", "env": {"MINE": "1"}}})
        (tenant,) = compiled(text).plan.tenants
        assert tenant.start[0] == "mine"
        assert {"MINE", *platform.app.get("env", {})} <= {key for key, _ in tenant.env}


@pytest.mark.parametrize("name", [each for each in PLATFORMS if PLATFORMS[each].app])
def test_it_is_said_how_a_platform_is_known(name: str) -> None:
    """In the docstring of `detect`, which stands in docs/platforms.md."""
    assert (PLATFORMS[name].detect.__doc__ or "").strip().split("\n")[0].endswith(".")


def test_every_module_of_the_room_is_found() -> None:
    """Adding a platform is adding a file."""
    modules = {each.stem for each in _ROOM.glob("*.py") if "\nPLATFORM = " in each.read_text()}
    assert modules == set(PLATFORMS)


def test_a_platform_that_is_none_is_complained_about() -> None:
    """With the names of all that there are."""
    (said,) = complaints("app: {platform: rials}\n")
    assert all(f"'{name}'" in str(said) for name in ("rials", *PLATFORMS))
