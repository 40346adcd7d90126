"""The atc command in a directory of its own, as a person would call it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Atc = Callable[..., "subprocess.CompletedProcess[str]"]

TWO = "users: {a: {tenants: {x: {}, y: {}}}}\n"


@pytest.fixture
def atc(tmp_path: Path) -> Atc:
    """Runs `atc WORDS` beside an atc.yml with two tenants, on a machine that knows no region."""
    (tmp_path / "atc.yml").write_text(TWO)
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("FLY_", "THRUSTER_"))}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "atcgen", *words],
            cwd=tmp_path,
            env=environ | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run
