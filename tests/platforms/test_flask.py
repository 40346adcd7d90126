"""Flask applications as tenants: the example's calendar, and one that says nothing of how it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from atcgen.platforms.flask import PLATFORM
from atcgen.system.application import ApplicationTree
from tests.platforms.calendars import subject
from tests.platforms.environments import copied
from tests.platforms.harness import Subject, verify

_EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.system
needs_calendar = pytest.mark.skipif(
    not (_EXAMPLES / "calendar/.venv").is_dir(), reason="examples/calendar/.venv is missing: run make install"
)


def calendar() -> dict[str, Any]:
    """`app:` of the example, wherever its atc.yml is."""
    app: dict[str, Any] = yaml.safe_load((_EXAMPLES / "atc.yml").read_text())["app"]
    return app | {"root": str(_EXAMPLES / app["root"])}


@needs_calendar
def test_the_calendar_of_the_example(tmp_path: Path) -> None:
    """As its atc.yml has it."""
    verify(subject("flask", tmp_path))


def test_a_calendar_as_tutorials_write_it(tmp_path: Path) -> None:
    """What `atc init` finds out about it is enough: its database is below the code, and its secret is `dev`."""
    root = copied("flask", tmp_path)
    found = PLATFORM.detect(ApplicationTree(root))
    assert found
    assert found.app["private"] == ["instance"]
    verify(Subject("flask, tutorial", {"platform": "flask", "root": str(root), **found.app}, sign_in="/sign-in"))
