"""Flask applications as tenants: the example's calendar, and one that says nothing of how it is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.platforms.harness import Subject, verify
from tests.platforms.live import Live

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
def test_the_calendar_of_the_example() -> None:
    """As its atc.yml has it."""
    verify(Subject("flask, examples/calendar", calendar(), Live("events", "/live"), sign_in="/sign-in"))
