"""Every test here runs real programs; without nginx they are skipped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.system.running import Atc, running


@pytest.fixture(autouse=True)
def _needs_nginx() -> None:
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")


@pytest.fixture
def atc() -> Iterator[Atc]:
    """Two tenants, a/x and a/y, that sleep after an hour."""
    with running() as started:
        yield started
