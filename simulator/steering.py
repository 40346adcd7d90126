"""The request headers by which a client chooses a machine of the addressed app. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HEADERS = frozenset({"fly-prefer-region", "fly-force-region", "fly-prefer-instance-id", "fly-force-instance-id"})


@dataclass(frozen=True)
class Steering:
    """What a client wants."""

    regions: tuple[str, ...] = ()
    instance: str = ""
    prefer_instance: str = ""


def steering(headers: Iterable[tuple[str, str]]) -> Steering:
    """What the headers of a request say; a force is stronger than a preference."""
    said = {name: value for name, value in headers if name in HEADERS}
    regions = _list(said.get("fly-force-region", ""))
    if not regions and (preferred := _list(said.get("fly-prefer-region", ""))):
        regions = (*preferred, "any")
    forced = said.get("fly-force-instance-id", "")
    return Steering(regions, forced, "" if forced else said.get("fly-prefer-instance-id", ""))


def _list(value: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in value.split(",") if each.strip())
