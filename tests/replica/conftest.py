"""A store of each kind, empty, for every test that asks for one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from atcgen.system.store import Store, open_store
from tests.replica import servers


@dataclass(frozen=True)
class Place:
    """Where a store is."""

    url: str
    endpoint: str = ""

    def open(self) -> Store:
        """Opened anew."""
        return open_store(self.url, endpoint=self.endpoint, credentials=servers.CREDENTIALS)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of moto."""
    with servers.moto(tmp_path_factory.mktemp("moto") / "log") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of rclone."""
    home = tmp_path_factory.mktemp("rclone")
    with servers.rclone(home / "data", home / "log") as endpoint:
        yield endpoint


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place of each kind."""
    if request.param == "file":
        (tmp_path / "store").mkdir()
        return Place(f"file://{tmp_path}/store")
    return Place(f"s3://{servers.BUCKET}/{uuid.uuid4().hex}/deep", request.getfixturevalue("moto"))


@pytest.fixture
def store(place: Place) -> Store:
    """A store of each kind."""
    return place.open()
