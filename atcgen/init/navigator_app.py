"""The part of a navigator.yml that is about tenants: `applications`."""

from __future__ import annotations

import re
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from atcgen.compiler.source import Path
from atcgen.init.imported import Source

_APPLICATIONS = (
    "env",
    "runtime",
    "server",
    "args",
    "health_check",
    "startup_timeout",
    "track_websockets",
    "pools",
    "tenants",
    "framework",
    "hooks",
)
_TENANT = ("path", "name", "root", "env", "var", "framework", "runtime", "server", "args", "health_check", "hooks")
_WORKS_NOW = ("startup_timeout", "user")
_WITHOUT_EFFECT = {
    "track_websockets": "an open connection keeps a tenant awake, always",
    "memory_limit": "atc limits no memory: the machine, or the container, does",
    "group": "the group is that of the unix user",
    "bot_detection": "Navigator ignores it too",
    "public_dir": "Navigator ignores it too",
    "working_dir": "Navigator ignores it too; `root` is the directory of a tenant",
}
_ROOT = ("applications",)
_NAME = re.compile(r"\$\{(\w+)\}")
_DEFAULT = {"runtime": "bin/rails", "server": "server", "args": ["-b", "127.0.0.1", "-p", "{{port}}"]}


def application(source: Source, app: CommentedMap, idle: CommentedMap) -> None:
    """Fill `app` and `idle`: what holds for all tenants."""
    source.lose_others(_ROOT, (*_APPLICATIONS, *_WITHOUT_EFFECT))
    _without_effect(source, _ROOT)
    if source.at((*_ROOT, "framework")) is not None:
        source.lose((*_ROOT, "framework"), "Navigator ignores it too")
    app["start"] = _start(source, {}, _kind({}))
    app.update(_words(source, _ROOT))
    shared = source.at((*_ROOT, "env"))
    plain = {key: _literal(value) for key, value in _mapping(shared).items() if not _NAME.search(str(value))}
    if plain:
        app["env"] = CommentedMap(plain)
        source.comment(app, "env", 1, (*_ROOT, "env"))
        for key in plain:
            source.comment(app["env"], key, 2, (*_ROOT, "env", key))
    pools: Path = (*_ROOT, "pools")
    source.lose_others(pools, ("timeout", "user"), "atc has nothing of the kind: ports and places are found, not given")
    idle["tenant"] = source.duration((*pools, "timeout")) if source.at((*pools, "timeout")) else "10m"
    if source.at((*pools, "user")):
        app["user"] = str(source.at((*pools, "user")))


def tenants(source: Source, app: CommentedMap) -> CommentedSeq:
    """`routes`: every tenant at the path that it has."""
    made = CommentedSeq()
    found = source.at((*_ROOT, "tenants"))
    for index, said in enumerate(found if isinstance(found, list) else []):
        path: Path = (*_ROOT, "tenants", index)
        if not isinstance(said, dict) or not isinstance(said.get("path"), str):
            source.lose(path, "a tenant without a path is nowhere")
            continue
        made.append(_route(source, path, said, app))
        comment = source.above(path)
        if comment:
            made.yaml_set_comment_before_after_key(len(made) - 1, before=comment, indent=2)
    return made


def _route(source: Source, path: Path, said: dict[str, Any], app: CommentedMap) -> CommentedMap:
    source.lose_others(path, (*_TENANT, *_WITHOUT_EFFECT, *_WORKS_NOW))
    _without_effect(source, path)
    made = CommentedMap()
    if said.get("name"):
        made["name"] = str(said["name"])
        source.note((*path, "name"), "Navigator ignores it; atc calls the tenant so")
    made["endpoint"] = "/" + said["path"].strip("/")
    own = CommentedMap(_words(source, path))
    if said.get("root"):
        own["root"] = str(said["root"])
    start = _start(source, said, _kind(said))
    if start != app.get("start"):
        own["start"] = start
    if said.get("user"):
        own["user"] = str(said["user"])
        source.note((*path, "user"), "Navigator ignores it; atc heeds it")
    if own:
        made["app"] = own
    env = _env(source, said)
    if env:
        made["env"] = env
    if said.get("hooks"):
        source.lose((*path, "hooks"), "hooks are for every tenant alike: see `hooks.tenant`")
    return made


def _words(source: Source, path: Path) -> dict[str, str]:
    """The keys that mean the same for all and for one."""
    made: dict[str, str] = {}
    health = source.at((*path, "health_check"))
    if isinstance(health, str) and health.strip("/"):
        made["health"] = "/" + health.lstrip("/")
    if source.at((*path, "startup_timeout")):
        made["start_timeout"] = source.duration((*path, "startup_timeout"))
        source.note((*path, "startup_timeout"), "Navigator ignores it; atc heeds it")
    return made


def _without_effect(source: Source, path: Path) -> None:
    for key, why in _WITHOUT_EFFECT.items():
        if source.at((*path, key)) is not None:
            source.lose((*path, key), why)


def _kind(said: dict[str, Any]) -> str:
    return str(said.get("framework") or "ruby")


def _start(source: Source, said: dict[str, Any], kind: str) -> str:
    """The command of a tenant: its own words, else those of its framework, else Navigator's."""
    words: list[Any] = []
    for key in ("runtime", "server", "args"):
        shared = _mapping(source.at((*_ROOT, key)))
        found = said.get(key, shared.get(kind, _DEFAULT[key]))
        words += found if isinstance(found, list) else [found]
    return source.words(words).replace("{{port}}", "${port}")


def _env(source: Source, said: dict[str, Any]) -> CommentedMap:
    """What a tenant says itself, above what is said of all with its `var` put in."""
    values = _mapping(said.get("var"))
    made = CommentedMap()
    for key, text in _mapping(source.at((*_ROOT, "env"))).items():
        if _NAME.search(str(text)):
            made[key] = _NAME.sub(lambda each: _literal(values.get(each[1], each[0])), _escaped(str(text)))
    for key, text in _mapping(said.get("env")).items():
        made[key] = _literal(text)
    return made


def _escaped(text: str) -> str:
    """A text whose `${` that name no variable of Navigator's stay what they are."""
    return re.sub(r"\$\{(?!\w+\})", "$${", text)


def _literal(value: Any) -> str:
    """A value that holds no variable, as atc.yml spells it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text.replace("${", "$${")


def _mapping(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
