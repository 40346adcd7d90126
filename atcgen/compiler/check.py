"""Document to config: the schema first, then the rules that span more than one key.

All problems of a file are reported together; the rules across keys run only on what the schema accepted.
"""

from __future__ import annotations

import shlex
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from atcgen.compiler import interpolate
from atcgen.compiler.environment import override_server, refuse_encryption
from atcgen.compiler.plan import Host
from atcgen.compiler.quoting import is_utf8
from atcgen.compiler.rules import cross_check
from atcgen.compiler.schema import Config
from atcgen.compiler.sentences import choices, code, must
from atcgen.compiler.source import Document, Path
from atcgen.diagnostics import Code, Diagnostic, closest


def check(document: Document, host: Host) -> tuple[Config | None, list[Diagnostic]]:
    """The validated config, or None when it has errors; and everything there is to say."""
    data = document.data
    if not isinstance(data, dict):
        return None, [Diagnostic(document.at(()), "must be a mapping of sections", Code.WRONG_TYPE)]
    data = {key: value for key, value in data.items() if not key.startswith("x-")}
    problems = list(_variables(document, host))
    config: Config | None = None
    try:
        config = Config.model_validate(data)
    except ValidationError as rejected:
        problems += [_located(document, data, error) for error in rejected.errors()]
    if config is None:
        return None, problems
    server, complaints = override_server(config.server, host.environ)
    config = config.model_copy(update={"server": server})
    problems += complaints
    if host.command:
        problems += refuse_encryption(host.environ)
    problems += cross_check(document, config, host)
    return config, problems


def _located(document: Document, data: Any, error: Any) -> Diagnostic:
    """A pydantic error as a diagnostic in the owner's words."""
    is_key = error["loc"][-1:] == ("[key]",)
    path: Path = error["loc"][:-1] if is_key else error["loc"]
    where = document.at(path) if is_key or error["type"] in ("extra_forbidden", "missing") else document.value_at(path)
    name = str(path[-1]) if path else "the file"
    if error["type"] == "extra_forbidden":
        known = keys_of(section_at(path[:-1]))
        return Diagnostic(where, f"unknown key '{name}'", Code.UNKNOWN_KEY, hint=closest(name, known))
    if error["type"] == "missing":
        return Diagnostic(document.at(path[:-1]), f"'{name}' is required", Code.MISSING_KEY)
    if is_key:
        return Diagnostic(where, f"'{name}' {must(error)}", Code.BAD_NAME)
    value = _at(data, path)
    said = f"{_dotted(path)}: {_shown(value)} {must(error)}"
    return Diagnostic(where, said, code(error), hint=closest(str(value), choices(error)))


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = str(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    return repr(text) if isinstance(value, str) else text


def _at(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return data
    return data


def section_at(path: Path) -> type[BaseModel] | None:
    """The schema class of the section at a path, or None where no section can be."""
    current: Any = Config
    for part in path:
        if isinstance(current, type) and issubclass(current, BaseModel):
            found = current.model_fields.get(str(part))
            current = _inner(found.annotation) if found else None
        elif isinstance(current, tuple):
            current = _inner(current[0])
        else:
            return None
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _inner(annotation: Any) -> Any:
    """What an annotation holds: a class, or a one-tuple of the annotation of a container's items."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _inner(arguments[0])
    if origin in (dict, list):
        return (arguments[-1],)
    return annotation


def keys_of(section: type[BaseModel] | None) -> list[str]:
    """The keys a section may hold."""
    return list(section.model_fields) if section else []


def _variables(document: Document, host: Host) -> Iterator[Diagnostic]:
    """Every `${...}` must name something, and every command must be one a shell could read."""
    for path, text in _walk(document.data, ()):
        known = _known(path)
        if known is not None:
            yield from _unknown(document, path, text, host, known)
            yield from _unclosed(document, path, text)
        if _in_app(path)[:1] in (("start",), ("prepare",), ("build",)) or path[:1] == ("hooks",):
            try:
                shlex.split(text)
            except ValueError as problem:
                where = document.value_at(path)
                yield Diagnostic(where, f"{_dotted(path)}: {str(problem).lower()}", Code.BAD_VALUE)


def _level(path: Path) -> Path:
    """The rest of a path below the tenant, the user, the route or the file it belongs to."""
    if path[0] == "users":
        return path[4:] if path[2:3] == ("tenants",) else path[2:]
    return path[2:] if path[0] == "routes" else path


def _in_app(path: Path) -> Path:
    """The rest of a path below an `app` section; nothing for any other."""
    rest = _level(path)
    return rest[1:] if rest[:1] == ("app",) else ()


def _known(path: Path) -> list[str] | None:
    """The variables a value may name besides those of the environment; None where `${` means nothing."""
    app = _in_app(path)
    if _level(path)[:1] == ("env",) or app[:1] in (("env",), ("start",)):
        return list(interpolate.VARIABLES)
    if app[:1] == ("build",):
        return list(interpolate.OF_APPLICATIONS)
    if app[:1] in (("prepare",), ("release",)):
        return [each for each in interpolate.VARIABLES if each != "socket"]
    if app[:1] == ("static",):
        return ["tenant.dir"]
    if path[:2] == ("hooks", "tenant"):
        return [each for each in interpolate.VARIABLES if each != "socket"]
    is_page = path[:2] in (("server", "error_pages"), ("server", "bad_gateway_page"), ("server", "index"))
    is_shared = path == ("fleet", "config")
    is_hook = path[:2] == ("hooks", "server")
    is_app = app[:1] == ("root",)
    if is_page or is_shared or is_hook or is_app or _is_of_store(path) or _is_of_fleet(path):
        return []
    return None


def _is_of_store(path: Path) -> bool:
    return path[:1] == ("storage",) and path[1:] in (("volume",), ("replica",), ("endpoint",), ("region",))


def _is_of_fleet(path: Path) -> bool:
    """The secret that all machines know, and the image of any."""
    fleet = path[1:] if path[:1] == ("fleet",) else ()
    return fleet in (("secret",), ("machine", "image")) or _level(path) == ("machine", "image")


def _walk(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, dict):
        for key, value in data.items():
            if path or not key.startswith("x-"):
                yield from _walk(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _walk(value, (*path, index))
    elif isinstance(data, str) and path:
        yield path, data


def _unknown(document: Document, path: Path, text: str, host: Host, known: list[str]) -> Iterator[Diagnostic]:
    for name in interpolate.names(text):
        variable = interpolate.environment_name(name)
        where = document.value_at(path)
        if variable:
            if variable not in host.environ:
                said = f"{_dotted(path)}: the environment variable {variable} is not set"
                yield Diagnostic(where, said, Code.MISSING_ENVIRONMENT)
            elif not is_utf8(host.environ[variable]):
                said = f"{_dotted(path)}: the environment variable {variable} holds bytes that are no UTF-8"
                yield Diagnostic(where, said, Code.UNREPRESENTABLE)
        elif name not in known:
            hint = closest(name, known) or "known are " + ", ".join([*known, "ENV:NAME"])
            yield Diagnostic(
                where, f"{_dotted(path)}: unknown variable '${{{name}}}'", Code.UNKNOWN_VARIABLE, hint=hint
            )


def _unclosed(document: Document, path: Path, text: str) -> Iterator[Diagnostic]:
    if interpolate.is_unclosed(text):
        hint = "write '$${' for the characters themselves"
        said = f"{_dotted(path)}: '${{' without '}}'"
        yield Diagnostic(document.value_at(path), said, Code.UNKNOWN_VARIABLE, hint=hint)
