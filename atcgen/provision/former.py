"""Users who left atc.yml, and the tenants they had: what editions say of them. No effects."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from atcgen.compiler.source import parse


def former_tenants(texts: Iterable[str], present: Container[str]) -> dict[str, tuple[str, ...]]:
    """The tenants of each user that a text of atc.yml names and who is not `present`: all they had in any of them.

    Only as much is read as that needs: an old text may have errors by what atc demands today.
    """
    found: dict[str, set[str]] = {}
    for text in texts:
        document, _ = parse(text, "atc.yml")
        for user, section in _mapping(document.data, "users").items():
            if user not in present:
                paths = (str(each).strip("/") for each in _mapping(section, "tenants"))
                found.setdefault(str(user), set()).update(f"{user}/{path}".rstrip("/") for path in paths)
    return {user: tuple(sorted(tenants)) for user, tenants in found.items()}


def _mapping(value: object, key: str) -> Mapping[Any, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}
