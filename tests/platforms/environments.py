"""Python environments of applications that tests make, installed by `make install`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_VENVS = {"django": "examples/calendar-django/.venv", "apps": "tests/platforms/apps/.venv"}


def environment(name: str) -> Path:
    """Where the environment is; skips the test where it is not installed."""
    found = ROOT / _VENVS[name]
    if not (found / ".installed").exists():
        pytest.skip(f"{_VENVS[name]} is missing: run make install")
    return found


def copied(name: str, to: Path) -> Path:
    """An application of apps/ in a directory of its own, with its environment; skips the test where that is missing."""
    root = to / name
    shutil.copytree(Path(__file__).parent / "apps" / name, root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / ".venv").symlink_to(environment("apps"))
    return root
