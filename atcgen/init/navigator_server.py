"""The part of a navigator.yml that is about the listener: `server`, `routes` and `maintenance`."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml.comments import CommentedMap

from atcgen.compiler.source import Path
from atcgen.init.imported import Source

_SERVER = ("listen", "hostname", "root_path", "trust_proxy", "health_check", "idle", "static", "cgi_scripts")
_IGNORED = ("disable_compression", "bot_detection", "public_dir")
_ROUTES = ("redirects", "rewrites", "reverse_proxies", "fly")
_LATER = "atc has no such rule: leave it to the application, or to a proxy in front of atc"


def server_sections(source: Source) -> dict[str, CommentedMap]:
    """`server`, `app`, `idle` and `fleet`, as far as they follow from it."""
    found = {"server": _server(source), "app": _static(source), "idle": _idle(source), "fleet": _fleet(source)}
    return {name: section for name, section in found.items() if section}


def _server(source: Source) -> CommentedMap:
    made = CommentedMap()
    source.lose_others(("server",), (*_SERVER, *_IGNORED))
    for key in _IGNORED:
        if source.at(("server", key)) is not None:
            source.lose(("server", key), "Navigator ignores it too")
    if source.at(("server", "hostname")):
        source.lose(("server", "hostname"), "Navigator ignores it too; a `host` of a route is one that it answers")
    if source.at(("server", "root_path")):
        source.lose(("server", "root_path"), "the paths of tenants have it already")
    if source.at(("server", "cgi_scripts")):
        source.lose(("server", "cgi_scripts"), "atc runs no scripts for requests")
    port = re.search(r"(\d+)\Z", str(source.at(("server", "listen")) or ""))
    made["http_port"] = int(port[1]) if port else 3000
    if source.at(("server", "trust_proxy")):
        made["forward_headers"] = True
    made.update(_health(source))
    page = source.at(("maintenance", "page"))
    source.lose_others(("maintenance",), ("page",), "atc has no such switch: `atc stop` stops a tenant")
    if isinstance(page, str):
        folder = source.at(("server", "static", "public_dir")) or "public"
        made["error_pages"] = {"503": f"{folder}/{page.lstrip('/')}"}
    return made


def _health(source: Source) -> dict[str, str]:
    path: Path = ("server", "health_check")
    source.lose_others(path, ("path", "response"))
    if source.at((*path, "response")):
        source.lose((*path, "response"), "nginx answers 200 and `ok`")
    found = source.at((*path, "path"))
    return {"health_check_path": found} if isinstance(found, str) else {}


def _idle(source: Source) -> CommentedMap:
    path: Path = ("server", "idle")
    source.lose_others(path, ("action", "timeout"))
    action = source.at((*path, "action"))
    if action not in ("suspend", "stop"):
        return CommentedMap()
    after = source.duration((*path, "timeout")) if source.at((*path, "timeout")) else "10m"
    return CommentedMap(machine=CommentedMap(after=after, then=action))


def _static(source: Source) -> CommentedMap:
    """Directories that nginx serves: at every tenant's prefix, which is how Navigator finds them."""
    path: Path = ("server", "static")
    source.lose_others(path, ("public_dir", "cache_control"), "nginx serves every file there that has an extension")
    folder = source.at((*path, "public_dir"))
    if not isinstance(folder, str):
        return CommentedMap()
    control: Path = (*path, "cache_control")
    source.lose_others(control, ("default", "default_immutable", "overrides"))
    static = CommentedMap()
    static[""] = _directory(source, folder, (*control, "default"), bool(source.at((*control, "default_immutable"))))
    for index, said in enumerate(source.at((*control, "overrides")) or []):
        here: Path = (*control, "overrides", index)
        source.lose_others(here, ("path", "max_age", "immutable"))
        name = _below(source, said.get("path"))
        if name and not re.search(r"[^\w./-]|\.\w+$", name):
            made = _directory(source, f"{folder}/{name}", (*here, "max_age"), bool(said.get("immutable")))
            static[name] = made
        else:
            source.lose(here, "it names no directory")
    return CommentedMap(static=static)


def _below(source: Source, path: Any) -> str:
    """A path as it is below the prefix of every tenant."""
    root = str(source.at(("server", "root_path")) or "/").rstrip("/") + "/"
    return str(path or "").removeprefix(root).strip("/")


def _directory(source: Source, folder: str, age: Path, immutable: bool) -> CommentedMap:
    made = CommentedMap(dir=folder)
    if immutable:
        made["immutable"] = True
    elif source.at(age) is not None:
        made["max_age"] = source.duration(age)
    return made


def _fleet(source: Source) -> CommentedMap:
    """Requests that another app of Fly.io answers. Those for another region follow from the `region` of tenants."""
    source.lose_others(("routes",), _ROUTES)
    for kind in ("redirects", "rewrites", "reverse_proxies"):
        for index, _ in enumerate(source.at(("routes", kind)) or []):
            source.lose(("routes", kind, index), _LATER)
    source.lose_others(("routes", "fly"), ("replay",), "Navigator ignores it too")
    elsewhere = []
    for index, said in enumerate(source.at(("routes", "fly", "replay")) or []):
        path: Path = ("routes", "fly", "replay", index)
        source.lose_others(path, ("path", "app", "region", "status"), "Navigator ignores it too")
        glob = glob_of(str(said.get("path") or ""))
        if said.get("app") and glob:
            elsewhere.append(CommentedMap(path=glob, app=said["app"]))
        elif said.get("app"):
            source.lose(path, "its pattern is none of `*` and `**`", "say it in `fleet.elsewhere`")
        else:
            source.lose(path, "which machine answers follows from tenants", "give them their `region`")
    return CommentedMap(elsewhere=elsewhere) if elsewhere else CommentedMap()


def glob_of(pattern: str) -> str:
    """A regular expression as a path with `*` (no slash) and `**`; '' when it says something else."""
    if not pattern.startswith("^") or not pattern.endswith("$"):
        return ""
    words = {".*": "**", ".+": "**", "[^/]+": "*", "[^/]*": "*", r"\.": ".", r"\/": "/", r"\-": "-"}
    rest, said = pattern[1:-1], ""
    while rest:
        word = next((each for each in words if rest.startswith(each)), "")
        wrapped = next((each for each in words if rest.startswith(f"({each})")), "")
        if wrapped:
            said, rest = said + words[wrapped], rest[len(wrapped) + 2 :]
        elif word:
            said, rest = said + words[word], rest[len(word) :]
        elif re.match(r"[A-Za-z0-9_~@/-](?![*+?{])", rest):
            said, rest = said + rest[0], rest[1:]
        else:
            return ""
    return said if said.startswith(("/", "*")) else ""
