"""An edition: one numbered text of atc.yml, as all machines get it. No effects.

It is not a generation, which is what one machine made of a text: files, named by their content.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass

from atcgen.fleet.sealing import Forged, seal, unseal

FOLDER = "fleet/config"
_KEY = re.compile(rf"{FOLDER}/(\d{{6,9}})\.json")
_KIND = "edition"


@dataclass(frozen=True)
class Edition:
    """What somebody pushed."""

    number: int
    text: str
    who: str
    at: str  # in UTC, as ISO 8601 has it
    message: str
    parent: int  # the edition it was made from; 0 for none

    @property
    def digest(self) -> str:
        """What names its text."""
        return digest(self.text)


def digest(text: str) -> str:
    """What names a text of atc.yml."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def key_of(number: int) -> str:
    """Where an edition lies in the store."""
    return f"{FOLDER}/{number:06}.json"


def number_of(key: str) -> int | None:
    """The number of what lies there, or None for what is no edition."""
    found = _KEY.fullmatch(key)
    return int(found[1]) if found and key_of(int(found[1])) == key else None


def sealed(edition: Edition, secret: str) -> bytes:
    """An edition as it lies in the store."""
    return seal(_KIND, asdict(edition), secret)


def unsealed(body: bytes, number: int, secret: str) -> Edition:
    """The edition of this number; raises `Forged`, also for another one that was put in its place."""
    said = unseal(_KIND, body, secret)
    try:
        edition = Edition(**said)
    except TypeError:
        raise Forged("it was made by another version of atc") from None
    if edition.number != number:
        raise Forged(f"it is edition {edition.number} under another number")
    return edition
