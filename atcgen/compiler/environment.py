"""Environment variables that override keys of `server:`, as fly-atc and thruster have them.

A key is overridden by its upper-case name, with the prefix THRUSTER_ or plain; the prefixed one wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from atcgen.compiler.schema import Server
from atcgen.compiler.sentences import choices, code, must
from atcgen.diagnostics import Code, Diagnostic, Position, Severity, closest

# Keys that older programs read from the environment; the others are atc's own and are written in the file.
OVERRIDABLE = (
    "target_port",
    "cache_size",
    "max_cache_item_size",
    "x_sendfile_enabled",
    "max_request_body",
    "bad_gateway_page",
    "http_port",
    "http_idle_timeout",
    "http_read_timeout",
    "http_write_timeout",
    "forward_headers",
    "gzip_compression_enabled",
    "log_requests",
    "debug",
    "log_level",
    "health_check_path",
)
# What thruster would do, and nobody would notice that it is not done.
_ENCRYPTS = ("TLS_DOMAIN", "TLS_LOCAL")
_PREFIX = "THRUSTER_"
_INTEGER = re.compile(r"-?[0-9]{1,30}")
# Machines that share a file may have addresses of their own.
_OWN_NAMES: Mapping[str, tuple[str, ...]] = {"bind": ("ATC_BIND",)}
_BOOLEANS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False, "": False}


def variables() -> dict[str, tuple[str, ...]]:
    """The variables that override each key; the first that is set wins."""
    return {**{key: (f"{_PREFIX}{key.upper()}", key.upper()) for key in OVERRIDABLE}, **_OWN_NAMES}


def override_server(server: Server, environ: Mapping[str, str]) -> tuple[Server, list[Diagnostic]]:
    """The server section with what the environment says.

    A bad value is an error where the variable has its prefix. One without may be meant for another program (`DEBUG=*`),
    so it is a warning, and the file's value stays.
    """
    problems: list[Diagnostic] = []
    values: dict[str, Any] = {key: getattr(server, key) for key in server.model_fields_set}
    for key, names in variables().items():
        name = next((each for each in names if each in environ), None)
        if name is None:
            continue
        value = _typed(key, environ[name])
        try:
            Server.model_validate({key: value})
        except ValidationError as rejected:
            error = rejected.errors()[0]
            said = f"{environ[name]!r} {must(error)}"
            hint = closest(environ[name], choices(error))
            severity = Severity.ERROR if name.startswith((_PREFIX, "ATC_")) else Severity.WARNING
            problems.append(Diagnostic(Position(f"${name}", 1, 1), said, code(error), severity, hint))
        else:
            values[key] = value
    return Server.model_validate(values), problems


def refuse_encryption(environ: Mapping[str, str]) -> Iterator[Diagnostic]:
    """Variables by which thruster is told to serve HTTPS itself: atc leaves that to what stands in front of it."""
    for key in _ENCRYPTS:
        for name in (f"{_PREFIX}{key}", key):
            if environ.get(name):
                said = f"{environ[name]!r}: atc does not fetch certificates or serve HTTPS itself"
                hint = "unset it, and let a proxy in front of atc, or the platform's, do that"
                yield Diagnostic(Position(f"${name}", 1, 1), said, Code.BAD_VALUE, hint=hint)


def _typed(key: str, text: str) -> Any:
    field = Server.model_fields[key]
    if field.annotation in (bool, bool | None):
        return _BOOLEANS.get(text.strip().lower(), text)
    if key == "log_level":
        return text.strip().lower()
    return int(text) if _INTEGER.fullmatch(text.strip()) else text
