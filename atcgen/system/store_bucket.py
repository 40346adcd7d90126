"""A store in an S3 bucket, by way of obstore, which is imported where it is used: it costs megabytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from atcgen.system.store import PART, Conflict, Entry, Found, StoreError, checked
from atcgen.system.store_reading import Reading, add

if TYPE_CHECKING:
    from obstore.store import S3Store

# One request may take four seconds; none begins later than five seconds after the first. So a call ends within nine.
_REQUEST = timedelta(seconds=4)
_CONNECT = timedelta(seconds=2)
_AGAIN = timedelta(seconds=5)
# Files go in parts, which have more time.
_MOST_PARTS = 9000  # S3 takes 10000
_PART_REQUEST = timedelta(seconds=90)
_PARTS_AT_ONCE = 2
_SAID = re.compile(r"status code: (\d{3})(?:[^<]*(?:<(?!Code>)[^<]*)*<Code>\s*(\w+))?")
_building = threading.Lock()


class BucketStore:
    """As `Store`."""

    def __init__(
        self, url: str, bucket: str, prefix: str, endpoint: str, region: str, credentials: Mapping[str, str]
    ) -> None:
        self._name = f"{url} at {endpoint}" if endpoint else url
        where = urlsplit(endpoint)
        if endpoint and ("@" in where.netloc or where.scheme not in ("http", "https") or not where.netloc):
            raise StoreError(f"the endpoint of {url} must be http://host:port or https://host")
        known = {
            "access_key_id": credentials.get("AWS_ACCESS_KEY_ID", ""),
            "secret_access_key": credentials.get("AWS_SECRET_ACCESS_KEY", ""),
            "session_token": credentials.get("AWS_SESSION_TOKEN", ""),
            "endpoint": endpoint,
            "prefix": prefix,
        }
        if not (known["access_key_id"] and known["secret_access_key"]):  # obstore would ask a cloud's metadata service
            raise StoreError(f"{url} needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")

        def build(retries: int, timeout: timedelta = _REQUEST) -> S3Store:
            from obstore.store import S3Store  # noqa: PLC0415

            given: dict[str, Any] = {name: value for name, value in known.items() if value}
            return S3Store(
                bucket,
                region=region or "us-east-1",
                virtual_hosted_style_request=not endpoint,
                client_options={
                    "allow_http": where.scheme == "http",
                    "timeout": timeout,
                    "connect_timeout": _CONNECT,
                },
                retry_config={"max_retries": retries, "retry_timeout": _AGAIN},
                **given,
            )

        # A conditional write is sent once: sent twice, it could meet itself and be taken for a conflict.
        with _without_aws():
            self._store, self._once, self._parts = build(2), build(0), build(2, _PART_REQUEST)

    async def get(self, key: str) -> Found | None:
        import obstore  # noqa: PLC0415

        try:
            with self._saying():
                answer = await obstore.get_async(self._store, checked(key))
                return Found(bytes(await answer.bytes_async()), _tag(answer.meta["e_tag"], self._name))
        except _Absent:
            return None

    async def get_first(self, key: str, length: int) -> bytes | None:
        try:
            return await self._range(checked(key), 0, length)
        except _Absent:
            return None

    async def create(self, key: str, body: bytes) -> str:
        return await self._write(key, body, "create")

    async def replace(self, key: str, body: bytes, tag: str) -> str:
        try:
            return await self._write(key, body, {"e_tag": tag})
        except _Absent:
            raise Conflict(f"{key} is gone") from None

    async def _write(self, key: str, body: bytes, mode: Any) -> str:
        import obstore  # noqa: PLC0415

        with self._saying():
            done = await obstore.put_async(self._once, checked(key), body, mode=mode)
            return _tag(done["e_tag"], self._name)

    async def put(self, key: str, body: bytes) -> None:
        import obstore  # noqa: PLC0415

        with self._saying():
            await obstore.put_async(self._store, checked(key), body, mode="overwrite", use_multipart=False)

    async def put_file(self, key: str, path: Path, digest: str) -> None:
        import obstore  # noqa: PLC0415

        reading = Reading(path, digest)
        size = (await asyncio.to_thread(path.stat)).st_size
        with reading, self._saying():
            if size <= PART:
                body = await asyncio.to_thread(reading.all)
                await obstore.put_async(self._parts, checked(key), body, mode="overwrite", use_multipart=False)
                return
            try:
                await obstore.put_async(
                    self._parts,
                    checked(key),
                    reading.parts(max(PART, size // _MOST_PARTS)),
                    use_multipart=True,
                    chunk_size=max(PART, size // _MOST_PARTS),
                    max_concurrency=_PARTS_AT_ONCE,
                )
            except Exception:
                if reading.problem:  # which obstore wraps
                    raise reading.problem from None
                raise

    async def get_file(self, key: str, path: Path) -> str | None:
        import obstore  # noqa: PLC0415

        said = hashlib.sha256()
        try:
            with self._saying():
                answer = await obstore.get_async(self._parts, checked(key))
                size = answer.meta["size"]
                small = bytes(await answer.bytes_async()) if size <= PART else None
                del answer
        except _Absent:
            return None
        with await asyncio.to_thread(path.open, "xb") as file:
            # A part at a time: each is asked for again when it fails, and none holds a connection for long.
            for begin in range(0, max(size, 1), PART):
                body = small if small is not None else await self._range(key, begin, min(PART, size - begin))
                await asyncio.to_thread(add, file, body, said)
        return said.hexdigest()

    async def _range(self, key: str, begin: int, length: int) -> bytes:
        import obstore  # noqa: PLC0415

        with self._saying():
            return bytes(await obstore.get_range_async(self._parts, key, start=begin, length=length))

    async def entries(self, prefix: str) -> list[Entry]:
        import obstore  # noqa: PLC0415

        found: list[Entry] = []
        with self._saying():
            async for page in obstore.list(self._store, prefix=prefix and checked(prefix), chunk_size=1000):
                found += [Entry(each["path"], each["size"], each["last_modified"].timestamp()) for each in page]
        return sorted(found, key=lambda each: each.key)

    async def delete(self, keys: Sequence[str]) -> None:
        import obstore  # noqa: PLC0415

        with self._saying():
            await obstore.delete_async(self._store, [checked(each) for each in keys])

    @contextmanager
    def _saying(self) -> Iterator[None]:
        """Turn what obstore raises into `Conflict`, `_Absent`, or a `StoreError` with a sentence.

        Its exceptions are no proof: a missing bucket is FileNotFoundError or PreconditionError too. What the server
        said is in the text, and only its code counts. The rest of the text is left out; it may quote a signature.
        """
        from obstore.exceptions import BaseError, InvalidPathError  # noqa: PLC0415

        try:
            yield
        except (InvalidPathError, ValueError):
            raise StoreError(f"{self._name} has an object whose key cannot be used") from None
        except (BaseError, FileNotFoundError) as problem:
            said = _SAID.search(str(problem))
            status, code = (said[1], said[2] or "") if said else ("", "")
        else:
            return
        if code == "NoSuchKey":
            raise _Absent(f"{self._name} has no such object")
        if status == "412" or code == "ConditionalRequestConflict":
            raise Conflict(f"an object of {self._name} was changed by somebody else")
        if code == "NoSuchBucket":
            raise StoreError(f"{self._name} does not exist: there is no such bucket")
        if status in ("401", "403"):
            raise StoreError(
                f"{self._name} is forbidden: it said {status} {code}".rstrip(),
                hint="check the credentials of the store",
            )
        if status:
            raise StoreError(f"{self._name} did not do it: it said {status} {code}".rstrip())
        raise StoreError(f"{self._name} does not answer")


class _Absent(StoreError):
    """The server said that there is no such object."""


def _tag(given: str | None, name: str) -> str:
    if not given:
        raise StoreError(f"{name} gives its objects no ETag, so that two writers could not be told apart")
    return given


@contextmanager
def _without_aws() -> Iterator[None]:
    """Hide AWS_* from obstore, which would prefer some of them to what it is given. It reads them only when built."""
    with _building:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if name.upper().startswith("AWS_")}
        try:
            yield
        finally:
            os.environ.update(hidden)
