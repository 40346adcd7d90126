"""Three years of a real service's tenants, as atc.yml: its files lie beside a development checkout, not in it.

They may be elsewhere, in the directory that ATC_SHOWCASES names.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

_FILES = Path(os.environ.get("ATC_SHOWCASES", Path(__file__).resolve().parents[2] / "shared/data/showcases"))


def showcase_files() -> list[Path]:
    """The files in order of time; skips the test where there are none."""
    found = sorted(_FILES.glob("*.yml"))
    if not found:
        pytest.skip("the tenant files of the real service are not there: ATC_SHOWCASES may name their directory")
    return found


def of_december() -> dict[str, Any]:
    """The users of December 2024: 50, with 159 tenants in 11 regions."""
    return users_of(next(each for each in showcase_files() if "2024-12-02" in each.name))


def users_of(file: Path) -> dict[str, Any]:
    """`users:` for one file: year -> city -> events becomes city -> year/event."""
    users: dict[str, Any] = {}
    for year, cities in yaml.safe_load(file.read_text(encoding="utf-8")).items():
        for city, said in cities.items():
            user = users.setdefault(city, {"name": said[":name"], "tenants": {}})
            if ":region" in said:
                user["region"] = said[":region"]
            events = said.get(":events") or {}
            for event, about in events.items():
                user["tenants"][f"{year}/{event.lstrip(':')}"] = {"name": about[":name"]}
            if not events:
                user["tenants"][str(year)] = {"name": said[":name"]}
    return users


def tenant_ids(users: dict[str, Any]) -> set[str]:
    """The ids of all tenants."""
    return {f"{user}/{path}" for user, section in users.items() for path in section["tenants"]}
