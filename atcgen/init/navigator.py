"""A navigator.yml as atc.yml: its tenants become `routes`, so that every URL stays what it is.

What Navigator ignores although its documentation names it is taken at its word, and said so: from then on it counts.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml.comments import CommentedMap

from atcgen.compiler.source import Path
from atcgen.init.imported import Imported, Source
from atcgen.init.navigator_app import application, tenants
from atcgen.init.navigator_server import server_sections

_TOP = ("server", "applications", "hooks", "managed_processes", "logging", "auth", "routes", "maintenance", "cable")
_NOTHING = {
    "managed_processes": "atc runs tenants alone: give the program to systemd, or to the container",
    "logging": "atc writes a line of JSON per request, and what tenants say into a file each, always",
    "auth": "atc asks for no passwords: the application does, or a proxy in front of atc",
    "cable": "atc has no cable of its own: the application serves it, below its prefix",
}


def is_navigator(data: Any) -> bool:
    """Has a file the sections that Navigator's have?"""
    return isinstance(data, dict) and bool({"applications", "managed_processes"} & set(data))


def import_navigator(text: str, file: str) -> Imported:
    """The tenants of a file and how they are run. Raises `Rejected`."""
    source = Source.read(text, file)
    made = CommentedMap()
    source.lose_others((), _TOP)
    for section, why in _NOTHING.items():
        if section in source.data:
            source.lose((section,), why)
    for name, found in server_sections(source).items():
        made[name] = found
    app, idle = made.setdefault("app", CommentedMap()), made.setdefault("idle", CommentedMap())
    application(source, app, idle)
    hooks = _hooks(source)
    if hooks:
        made["hooks"] = hooks
    made["routes"] = tenants(source, app)
    for name, path in (("server", "server"), ("app", "applications"), ("hooks", "hooks"), ("idle", "server.idle")):
        if name in made:
            source.comment(made, name, 0, tuple(path.split(".")))
    return source.imported(made)


def _hooks(source: Source) -> CommentedMap:
    """What runs when something happens; the words are those of Navigator, and mean the same."""
    known = {"server": ("start", "ready", "idle", "resume", "stop"), "tenant": ("start", "stop")}
    made = CommentedMap()
    source.lose_others(("hooks",), known)
    for whom, events in known.items():
        source.lose_others(("hooks", whom), events)
        for event in events:
            found = [_hook(source, ("hooks", whom, event, index)) for index in range(_count(source, whom, event))]
            if found:
                made.setdefault(whom, CommentedMap())[event] = [each for each in found if each]
    if source.at(("hooks", "server", "stop")):
        source.note(("hooks", "server", "stop"), "Navigator never ran it; atc does")
    return made


def _count(source: Source, whom: str, event: str) -> int:
    found = source.at(("hooks", whom, event))
    return len(found) if isinstance(found, list) else 0


def _hook(source: Source, path: Path) -> CommentedMap:
    found = source.at(path)
    made = CommentedMap()
    if not isinstance(found, dict) or not found.get("command"):
        source.lose(path, "has no command")
        return made
    source.lose_others(path, ("command", "args", "timeout", "reload_config", "env"))
    if "reload_config" in found:
        source.lose((*path, "reload_config"), "atc takes up an edit of atc.yml by itself")
    if "env" in found:
        source.lose((*path, "env"), "Navigator ignores it too: a hook has the environment of the machine or the tenant")
    made["run"] = source.words([found["command"], *(found.get("args") or [])])
    if found.get("timeout"):
        made["timeout"] = source.duration((*path, "timeout"))
    return made
