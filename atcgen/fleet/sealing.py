"""What machines believe of a store: only what was signed with their secret. No effects."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from atcgen.errors import AtcError


class Forged(AtcError):
    """Something does not have the signature of who knows the fleet's secret."""


def signature(kind: str, said: Mapping[str, Any], secret: str) -> str:
    """HMAC-SHA256 over everything that is said, and over what kind of thing it is said to be."""
    plain = json.dumps(said, sort_keys=True, separators=(",", ":"))
    key = secret.encode(errors="surrogateescape")
    return hmac.new(key, f"atc {kind}\n{plain}".encode(), hashlib.sha256).hexdigest()


def seal(kind: str, said: Mapping[str, Any], secret: str) -> bytes:
    """Plain data with a signature, as it lies in the store."""
    return json.dumps({**said, "signature": signature(kind, said, secret)}, indent=1).encode() + b"\n"


def unseal(kind: str, body: bytes, secret: str) -> dict[str, Any]:
    """The data; raises `Forged` for anything that `seal` did not make with this secret."""
    try:
        said = json.loads(body)
        given = str(said.pop("signature"))
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise Forged("it is not signed") from None
    if not secret or not hmac.compare_digest(signature(kind, said, secret).encode(), given.encode(errors="replace")):
        raise Forged("its signature was not made with fleet.secret")
    found: dict[str, Any] = said
    return found
