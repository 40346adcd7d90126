"""The text of a new atc.yml, and of one that gets its first users."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from atcgen.compiler.source import parse
from atcgen.compiler.values import url_path
from atcgen.init.ignored import DATA
from atcgen.init.survey import Survey
from atcgen.provision.edit import add_tenant, add_user, empty, set_values

TWO = (("demo", "one"), ("demo", "two"))

_HEAD = """\
# What atc does with this application. Edit it while atc runs: what changed takes effect when the file is saved.
# `atc check` says what is wrong, `atc plan` what follows from it. `atc init` wrote it.
app:
  root: {root}  # the application, relative to this file
  platform: {platform}  # {because}
"""
_STORAGE = """
storage:
  volume: {volume}  # the databases and files of tenants
  # replica: s3://BUCKET/PREFIX  # where they are copied to as they change, and restored from
"""
_ALONE = """
# Nobody is named here, so there is one tenant, at /. `atc init --multi` makes it many.
"""
_INDEX = """
server:
  index: true  # a page at / that lists the tenants; a file here is one of your own
"""
_USERS = """
# Customers by the first segment of their URLs, and their tenants by what comes after it. Each tenant has a process and
# a database of its own.
users:
"""


@dataclass(frozen=True)
class Wanted:
    """What the owner asks for."""

    tenants: tuple[tuple[str, str], ...] = ()  # users with paths of their tenants; none: one tenant at '/'


def written(found: Survey, wanted: Wanted, *, is_inside: bool) -> str:
    """A whole atc.yml; `is_inside`: in a directory of the application's, such as config/."""
    root, above = ("..", "../") if is_inside else (".", "./")
    because = " ".join(found.detected.because.split())
    text = _HEAD.format(root=root, platform=found.platform.name, because=because)
    if found.detected.app:
        text += textwrap.indent(_yaml(found.detected.app), "  ")
    text += _STORAGE.format(volume=f"{above}{DATA}")
    return text + (_INDEX + _USERS + _section(wanted.tenants) if wanted.tenants else _ALONE)


def with_users(text: str, wanted: Wanted) -> str:
    """An atc.yml that may be somebody's, with the tenants that it lacks and a page that lists them; else as it is."""
    said = parse(text, "")[0].data or {}
    if "index" not in (said.get("server") or {}):
        text = set_values(text, ("server",), {"index": True}) if said.get("server") else _joined(text, _INDEX)
    if not said.get("users"):
        if "users" in said:
            return _all_added(text, wanted)
        return _joined(text.replace(_ALONE, ""), _USERS + _section(wanted.tenants))
    is_given = any((user or {}).get("tenants") for user in said["users"].values())
    return text if is_given and wanted.tenants == TWO else _all_added(text, wanted)


def _all_added(text: str, wanted: Wanted) -> str:
    for user, path in wanted.tenants:
        users = (parse(text, "")[0].data or {}).get("users") or {}
        if user not in users:
            text = add_user(text, user, {"tenants": empty()})
            users = parse(text, "")[0].data["users"]
        if all(url_path(key) != path for key in (users[user] or {}).get("tenants") or {}):
            text = add_tenant(text, user, path, {})
    return text


def _joined(text: str, section: str) -> str:
    return f"{text.rstrip()}\n{section}"


def _section(tenants: Sequence[tuple[str, str]]) -> str:
    users: dict[str, Any] = {}
    for user, path in tenants:
        users.setdefault(user, {"tenants": {}})["tenants"][path] = {}
    return textwrap.indent(_yaml(users), "  ")


def _yaml(data: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(_plain(data), sort_keys=False, default_flow_style=False, allow_unicode=True, width=9999))


def _plain(value: Any) -> Any:
    """Mappings and sequences of any kind, as those that YAML is written from."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value
