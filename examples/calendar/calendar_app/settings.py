"""Settings, read once from the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import URL

FIRST_YEAR, LAST_YEAR = 1900, 2199


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """The Flask configuration for these environment variables."""
    database = Path(_required(environ, "DATABASE_PATH")).absolute()
    uploads = Path(environ.get("UPLOADS_DIR") or database.parent / "uploads").absolute()
    return {
        "CALENDAR_TITLE": environ.get("CALENDAR_TITLE") or "Calendar",
        "SECRET_KEY": _required(environ, "SECRET_KEY"),
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SQLALCHEMY_DATABASE_URI": URL.create("sqlite", database=str(database)),
        "SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 4, "max_overflow": 60},
        "UPLOADS_DIR": uploads,
        # A form may stay open for as long as the browser keeps the session.
        "WTF_CSRF_TIME_LIMIT": None,
    }


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise RuntimeError(f"the environment variable {name} is missing")
    return value
