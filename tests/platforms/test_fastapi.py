"""FastAPI applications as tenants."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.platforms.environments import copied
from tests.platforms.harness import Subject, verify
from tests.platforms.live import Live

pytestmark = pytest.mark.system


def test_a_calendar(tmp_path: Path) -> None:
    """With Alembic, sessions, templates, static files and a WebSocket."""
    app = {"platform": "fastapi", "root": str(copied("fastapi", tmp_path)), "health": "/up"}
    verify(Subject("fastapi", app, Live("websocket", "/ws"), sign_in="/sign-in"))
