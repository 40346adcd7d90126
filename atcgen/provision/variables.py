"""Variables that machines have and the computer where they are made has not: `${ENV:NAME}` in what only tenants get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from atcgen.compiler import interpolate
from atcgen.compiler.plan import Host
from atcgen.compiler.source import parse

_NEEDED = {"storage", "fleet", "machine"}  # keys below which values say where machines and copies are


def with_those_of_tenants(host: Host, text: str, file: str) -> Host:
    """The computer as if it had them, empty; what the store, the secret or a machine depends on stays missing."""
    document, _ = parse(text, file)
    found = set(_names(document.data, needed=False))
    needed = {name for name, is_needed in found if is_needed}
    absent = {name: "" for name, _ in found if name not in host.environ and name not in needed}
    return replace(host, environ={**host.environ, **absent})


def _names(data: Any, *, needed: bool) -> Iterator[tuple[str, bool]]:
    """Each variable, and whether it stands below a key that needs it here."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _names(value, needed=needed or key in _NEEDED)
    elif isinstance(data, list):
        for each in data:
            yield from _names(each, needed=needed)
    elif isinstance(data, str):
        for name in filter(None, map(interpolate.environment_name, interpolate.names(data))):
            yield name, needed
