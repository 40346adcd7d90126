"""What an application is: the platform that is meant, and what there is to say about it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from atcgen.compiler.source import parse
from atcgen.errors import Unavailable
from atcgen.platforms import PLATFORMS, detected
from atcgen.platforms.platform import Detected, Platform, Tree

_DATABASES = (
    "*.sqlite3",
    "*.sqlite",
    "*.db",
    "db/*.sqlite3",
    "storage/*.sqlite3",
    "instance/*.db",
    "instance/*.sqlite*",
    "prisma/*.db",
    "data/*.sqlite*",
    "data/*.db",
)
_NONE = "command"
PLACES = ("atc.yml", "config/atc.yml")


@dataclass(frozen=True)
class Survey:
    """An application, looked at."""

    platform: Platform
    detected: Detected
    also: tuple[str, ...]  # titles of other platforms that know it as well
    databases: tuple[str, ...]  # files that hold its data so far
    is_told: bool = False  # the owner says what it is
    strips: bool = False  # `app.prefix: strip`


def survey(tree: Tree, platform: str = "", start: str = "") -> Survey:
    """What an application is; `platform` and `start` are what the owner says of it, now or in an atc.yml that is there.

    Raises `Unavailable` when nobody knows how it is started.
    """
    is_told = bool(platform or start)
    said_before = _said_before(tree)
    platform = platform or said_before.get("platform", "")
    start = start or said_before.get("start", "")
    found = detected(tree)
    named = [each for each in found if each[0].name == platform]
    if platform and not named:
        named = [(PLATFORMS[platform], Detected("you say so"))]
    chosen, said = next(iter(named or found), (PLATFORMS[_NONE], _unknown(tree, start)))
    if start:
        said = Detected(said.because, {**said.app, "start": start}, said.weight, said.databases, said.says)
    if "start" not in {**chosen.app, **said.app}:
        raise Unavailable(
            "nothing here says how this application is started",
            hint="say it: atc init --start 'bin/serve --socket ${socket}'",
        )
    # A lighter one, such as Node below Prisma, is part of what is meant.
    also = tuple(each.title for each, other in found if each is not chosen and other.weight == said.weight)
    databases = said.databases or tuple(dict.fromkeys(each for kind in _DATABASES for each in tree.names(kind)))
    strips = {**chosen.app, **said.app, **said_before}.get("prefix") == "strip"
    return Survey(chosen, said, also, databases, is_told, strips)


def _said_before(tree: Tree) -> dict[str, str]:
    """`platform`, `start` and `prefix` of an atc.yml that is there."""
    text = next(filter(None, map(tree.text, PLACES)), "")
    data = parse(text, "")[0].data
    app = data.get("app") if isinstance(data, dict) else None
    known = app if isinstance(app, dict) else {}
    words = {key: known.get(key) for key in ("platform", "start", "prefix")}
    found = {key: value for key, value in words.items() if isinstance(value, str)}
    return found if found.get("platform", _NONE) in PLATFORMS else {}


def _unknown(tree: Tree, start: str) -> Detected:
    """An application of no platform that is known: it may say itself how it is started."""
    static = {"static": {"": "public"}} if tree.names("public") else {}
    if start:
        return Detected("your command", static)
    line = re.search(r"^web:[ \t]*(\S.*)$", tree.text("Procfile"), re.MULTILINE)
    if line:
        return Detected("`web` in Procfile", {"start": _with_port(line[1].strip()), **static})
    try:
        scripts = json.loads(tree.text("package.json") or "{}").get("scripts", {})
    except (ValueError, AttributeError):
        scripts = {}
    if isinstance(scripts, dict) and isinstance(scripts.get("start"), str):
        return Detected("`start` in package.json", {"start": _with_port(scripts["start"]), **static})
    return Detected("nothing", static)


def _with_port(command: str) -> str:
    """A command that may name $PORT, which a shell puts in; what is else spelt like a variable of atc's is its own."""
    return command.replace("${PORT}", "$PORT").replace("${", "$${")
