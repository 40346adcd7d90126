"""The word of `atc push` to a machine that there is a new edition. It carries nothing but its number. No effects."""

from __future__ import annotations

import hmac
import re

from atcgen.fleet.sealing import signature

HEADER = "X-Atc-Told"
PATH = "/_atc/told"
_LASTS = 60  # seconds
_FORM = re.compile(r"(\d{1,9}) (\d{1,12}) ([0-9a-f]{64})")


def word(number: int, secret: str, now: float) -> str:
    """The value of the header."""
    expiry = int(now) + _LASTS
    return f"{number} {expiry} {_signed(number, expiry, secret)}"


def heard(value: str, secret: str, now: float) -> int | None:
    """The number of the edition, or None when it was not said by who knows the secret, or too long ago."""
    found = _FORM.fullmatch(value)
    if not found or not secret:
        return None
    number, expiry = int(found[1]), int(found[2])
    if not hmac.compare_digest(_signed(number, expiry, secret), found[3]) or not now <= expiry <= now + 2 * _LASTS:
        return None
    return number


def _signed(number: int, expiry: int, secret: str) -> str:
    return signature("told", {"number": number, "expiry": expiry}, secret)
