"""An object store: an S3 bucket, or a directory that machines share. What it cannot say for certain, it does not say.

Two machines agree through it, so the difference between "there is no such object" and "I could not look" is kept at any
price: the first is `None`, the second a `StoreError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from atcgen.errors import AtcError, Unavailable

PART = 8 << 20  # of a file, of which no more than two at once are in memory
OURS = ".atc-"  # begins the names of files that are no objects
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NO_KEY = re.compile(r"[\x00-\x1f\x7f<]|(?:^|/)(?:\.\.?|\.atc-[^/]*)?(?:/|$)")


class StoreError(Unavailable):
    """The store could not be asked, or what it holds is damaged. A write that raises this may have happened or not."""


class Changed(AtcError):
    """A file is not what it was said to be; nothing was written."""


class Conflict(AtcError):
    """A conditional write did not happen: the object is not as the writer believed."""


@dataclass(frozen=True)
class Found:
    """An object; `tag` differs from that of every other version of it."""

    body: bytes
    tag: str


@dataclass(frozen=True)
class Entry:
    """An object in a listing; `modified` is in seconds since the epoch, by the store's clock."""

    key: str
    size: int
    modified: float


class Store(Protocol):
    """Objects by key, such as `tenants/a/lease.json`. Every method may raise `StoreError`."""

    async def get(self, key: str) -> Found | None:
        """The object; None only where the store has proved that there is none."""

    async def get_first(self, key: str, length: int) -> bytes | None:
        """The first bytes of an object that is not shorter; None as `get`."""

    async def create(self, key: str, body: bytes) -> str:
        """Write an object that must not exist yet, and return its tag; else `Conflict`."""

    async def replace(self, key: str, body: bytes, tag: str) -> str:
        """Write an object that must still have this tag, and return the new one; else `Conflict`."""

    async def put(self, key: str, body: bytes) -> None:
        """Write an object, whatever was there."""

    async def put_file(self, key: str, path: Path, digest: str) -> None:
        """Write an object from a file of any size, whatever was there, if its SHA-256 is this; else `Changed`.

        Raises `OSError` when the file cannot be read.
        """

    async def get_file(self, key: str, path: Path) -> str | None:
        """Write an object of any size to a file, which must not exist: its SHA-256; None as `get`.

        Raises `OSError` when the file cannot be written; what is there of it then is not the object.
        """

    async def entries(self, prefix: str) -> list[Entry]:
        """The objects below `prefix/`, sorted by key; '' for all."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that do not exist do not matter."""


def open_store(url: str, *, endpoint: str = "", region: str = "", credentials: Mapping[str, str]) -> Store:
    """The store at `s3://bucket/prefix` or `file:///directory`; it is not asked anything yet.

    `credentials` has AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and may have AWS_SESSION_TOKEN; AWS_ENDPOINT_URL_S3
    and AWS_REGION stand in for `endpoint` and `region`. The process's own AWS_* variables play no part.
    """
    from atcgen.system.store_bucket import BucketStore  # noqa: PLC0415 - both know what a store is
    from atcgen.system.store_directory import DirectoryStore  # noqa: PLC0415

    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:  # not quoted, for it may hold a secret
        raise StoreError("the URL of a store is s3://bucket/prefix or file:///directory, with nothing else in it")
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and parts.path.strip("/"):
        return DirectoryStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        prefix = parts.path.strip("/")
        if prefix:
            checked(prefix)
        endpoint = endpoint or credentials.get("AWS_ENDPOINT_URL_S3", "")
        return BucketStore(
            url, parts.netloc, prefix, endpoint, region or credentials.get("AWS_REGION", ""), credentials
        )
    raise StoreError(f"{url} is no store: it must be s3://bucket/prefix or file:///directory")


def checked(key: str) -> str:
    """A key that both kinds of store can have, and that stays inside; raises `StoreError`."""
    if _NO_KEY.search(key):
        raise StoreError(f"{key!r} cannot be the key of an object")
    return key
