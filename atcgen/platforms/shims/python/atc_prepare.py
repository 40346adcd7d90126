"""Migrates a tenant's database, by whatever the application has for that: Flask-Migrate, Alembic, or nothing."""

from __future__ import annotations

import os
from pathlib import Path


def main() -> None:
    """Becomes the program that migrates."""
    if Path("alembic.ini").exists():
        words = ["alembic", "upgrade", "head"]
    elif Path("migrations/alembic.ini").exists() or any(Path().glob("*/migrations/alembic.ini")):
        words = ["flask", "db", "upgrade"]
    else:
        return
    os.execvp(words[0], words)


if __name__ == "__main__":
    main()
