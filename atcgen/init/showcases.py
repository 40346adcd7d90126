"""Tenants in the form `year -> city -> events`, as atc.yml: a city is a user, an event one of its tenants.

    2025:
      boston:
        :name: Boston
        :region: bos
        :events:
          april:
            :name: April

A city without events in a year is one tenant, which the year names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap

from atcgen.compiler.source import Path
from atcgen.init.imported import Imported, Source, in_one_line

_YEAR = re.compile(r"\d{4}\Z")
_CITY = (":name", ":region", ":events", "name", "region", "events")
_EVENT = (":name", "name")
_LOGO = "belongs to the application: atc knows no logos"
_PORT = "atc finds a port, or a socket, itself"


def is_showcases(data: Any) -> bool:
    """Do all keys of a file name years?"""
    return isinstance(data, dict) and bool(data) and all(_YEAR.match(str(each)) for each in data)


@dataclass(frozen=True)
class _Said:
    """A city in one year."""

    year: str
    path: Path
    name: str
    region: str
    events: dict[Path, str]  # names by where they stand below the city


def import_showcases(text: str, file: str) -> Imported:
    """The users of a file. Raises `Rejected`."""
    source = Source.read(text, file)
    cities: dict[str, list[_Said]] = {}
    for year, found in source.data.items():
        for city in found if isinstance(found, dict) else ():
            cities.setdefault(str(city).lstrip(":"), []).append(_said(source, (year, city)))
    users = CommentedMap()
    for city, years in cities.items():
        users[city] = _user(source, years)
        above = [(each.path[0],) for each in years]
        source.comment(users, city, 1, *above, *(path for each in years for path in _with_words(each.path)))
    return source.imported(CommentedMap(users=users))


def _said(source: Source, path: Path) -> _Said:
    source.lose_others(path, (*_CITY, ":logo", ":port", "logo", "port"))
    for word, why in ((":logo", _LOGO), ("logo", _LOGO), (":port", _PORT), ("port", _PORT)):
        if word in (source.at(path) or {}):
            source.lose((*path, word), why)
    events = _events(source, path)
    for key in events:
        source.lose_others((*path, *key), _EVENT)
    return _Said(
        year=str(path[0]),
        path=path,
        name=_word(source, path, "name"),
        region=_word(source, path, "region"),
        events={key: _word(source, (*path, *key), "name") for key in events},
    )


def _events(source: Source, path: Path) -> list[Path]:
    for key in (":events", "events"):
        found = source.at((*path, key))
        if isinstance(found, dict):
            return [(key, each) for each in found]
    return []


def _with_words(path: Path) -> list[Path]:
    """A city or an event, and what is said of it in a word."""
    words = (":name", "name", ":region", "region", ":events", "events")
    return [path, *((*path, each) for each in words)] if path else []


def _word(source: Source, path: Path, key: str) -> str:
    found = source.at((*path, f":{key}")) or source.at((*path, key))
    return str(found) if found is not None else ""


def _user(source: Source, years: list[_Said]) -> CommentedMap:
    """A city: what its last year says holds for it, and what another year says otherwise for the tenants of that."""
    last = max(years, key=lambda each: each.year)
    made = CommentedMap()
    if last.name:
        made["name"] = last.name
    if last.region:
        made["region"] = last.region
    made["tenants"] = tenants = CommentedMap()
    for said in years:
        elsewhere = {"region": said.region} if said.region and said.region != last.region else {}
        for key, name, origin in _tenants(said):
            tenants[key] = in_one_line(({"name": name} if name else {}) | elsewhere)
            source.comment(tenants, key, 3, *_with_words(origin))
    return made


def _tenants(said: _Said) -> Iterator[tuple[str, str, Path]]:
    for key, name in said.events.items():
        yield f"{said.year}/{str(key[-1]).lstrip(':')}", name, (*said.path, *key)
    if not said.events:
        yield said.year, said.name, ()
