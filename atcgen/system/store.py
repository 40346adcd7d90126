"""An object store: an S3 bucket, or a directory that machines share. What it cannot say for certain, it does not say.

Two machines agree through it, so the difference between "there is no such object" and "I could not look" is kept at any
price: the first is `None`, the second a `StoreError`.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from atcgen.errors import AtcError, Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Store

_T = TypeVar("_T")

# One request may take four seconds; none begins later than five seconds after the first. So a call ends within nine.
_REQUEST = timedelta(seconds=4)
_CONNECT = timedelta(seconds=2)
_AGAIN = timedelta(seconds=5)
_LOCK_SECONDS = 9.0
# Files go in parts, which have more time, and of which no more than two at once are in memory.
_PART = 8 << 20
_MOST_PARTS = 9000  # S3 takes 10000
_PART_REQUEST = timedelta(seconds=90)
_PARTS_AT_ONCE = 2
_OURS = ".atc-"
_LOCK = f"{_OURS}lock"
_FRESH = f"{_OURS}new"
_FRESH_FILE = f"{_OURS}put-"
_LONG_FORGOTTEN = 86_400.0
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NO_KEY = re.compile(r"[\x00-\x1f\x7f<]|(?:^|/)(?:\.\.?|\.atc-[^/]*)?(?:/|$)")
_SAID = re.compile(r"status code: (\d{3})(?:[^<]*(?:<(?!Code>)[^<]*)*<Code>\s*(\w+))?")
_building = threading.Lock()


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
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:  # not quoted, for it may hold a secret
        raise StoreError("the URL of a store is s3://bucket/prefix or file:///directory, with nothing else in it")
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/") and parts.path.strip("/"):
        return FileStore(Path(unquote(parts.path)))
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        prefix = parts.path.strip("/")
        if prefix:
            _checked(prefix)
        endpoint = endpoint or credentials.get("AWS_ENDPOINT_URL_S3", "")
        return BucketStore(
            url, parts.netloc, prefix, endpoint, region or credentials.get("AWS_REGION", ""), credentials
        )
    raise StoreError(f"{url} is no store: it must be s3://bucket/prefix or file:///directory")


def _checked(key: str) -> str:
    """A key that both kinds of store can have, and that stays inside; raises `StoreError`."""
    if _NO_KEY.search(key):
        raise StoreError(f"{key!r} cannot be the key of an object")
    return key


class BucketStore:
    """An S3 bucket, by way of obstore, which is imported here and not above: it costs megabytes."""

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
                answer = await obstore.get_async(self._store, _checked(key))
                return Found(bytes(await answer.bytes_async()), _tag(answer.meta["e_tag"], self._name))
        except _Absent:
            return None

    async def get_first(self, key: str, length: int) -> bytes | None:
        try:
            return await self._range(_checked(key), 0, length)
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
            done = await obstore.put_async(self._once, _checked(key), body, mode=mode)
            return _tag(done["e_tag"], self._name)

    async def put(self, key: str, body: bytes) -> None:
        import obstore  # noqa: PLC0415

        with self._saying():
            await obstore.put_async(self._store, _checked(key), body, mode="overwrite", use_multipart=False)

    async def put_file(self, key: str, path: Path, digest: str) -> None:
        import obstore  # noqa: PLC0415

        reading = _Reading(path, digest)
        size = (await asyncio.to_thread(path.stat)).st_size
        with reading, self._saying():
            if size <= _PART:
                body = await asyncio.to_thread(reading.all)
                await obstore.put_async(self._parts, _checked(key), body, mode="overwrite", use_multipart=False)
                return
            try:
                await obstore.put_async(
                    self._parts,
                    _checked(key),
                    reading.parts(max(_PART, size // _MOST_PARTS)),
                    use_multipart=True,
                    chunk_size=max(_PART, size // _MOST_PARTS),
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
                answer = await obstore.get_async(self._parts, _checked(key))
                size = answer.meta["size"]
                small = bytes(await answer.bytes_async()) if size <= _PART else None
                del answer
        except _Absent:
            return None
        with await asyncio.to_thread(path.open, "xb") as file:
            # A part at a time: each is asked for again when it fails, and none holds a connection for long.
            for begin in range(0, max(size, 1), _PART):
                body = small if small is not None else await self._range(key, begin, min(_PART, size - begin))
                await asyncio.to_thread(_add, file, body, said)
        return said.hexdigest()

    async def _range(self, key: str, begin: int, length: int) -> bytes:
        import obstore  # noqa: PLC0415

        with self._saying():
            return bytes(await obstore.get_range_async(self._parts, key, start=begin, length=length))

    async def entries(self, prefix: str) -> list[Entry]:
        import obstore  # noqa: PLC0415

        found: list[Entry] = []
        with self._saying():
            async for page in obstore.list(self._store, prefix=prefix and _checked(prefix), chunk_size=1000):
                found += [Entry(each["path"], each["size"], each["last_modified"].timestamp()) for each in page]
        return sorted(found, key=lambda each: each.key)

    async def delete(self, keys: Sequence[str]) -> None:
        import obstore  # noqa: PLC0415

        with self._saying():
            await obstore.delete_async(self._store, [_checked(each) for each in keys])

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


class _Reading:
    """A file that is read once, and is an error at its end when it is not what it was said to be."""

    def __init__(self, path: Path, digest: str) -> None:
        self._path, self._digest = path, digest
        self._said = hashlib.sha256()
        self.problem: AtcError | OSError | None = None

    def __enter__(self) -> None:
        self._file = open(self._path, "rb", opener=_not_through_a_link)

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def all(self) -> bytes:
        """Everything."""
        body = self._file.read()
        self._said.update(body)
        self._check()
        return body

    async def parts(self, size: int) -> AsyncIterator[bytes]:
        """One after the other; the error comes before what takes them knows that it had the last."""
        try:
            while body := await asyncio.to_thread(self._file.read, size):
                await asyncio.to_thread(self._said.update, body)
                yield body
            self._check()
        except (AtcError, OSError) as problem:
            self.problem = problem
            raise

    def copy(self, target: IO[bytes]) -> None:
        """Everything, to another file."""
        while body := self._file.read(_PART):
            _add(target, body, self._said)
        self._check()

    def _check(self) -> None:
        if self._said.hexdigest() != self._digest:
            raise Changed(f"{self._path.name} was changed while it was read")


def _not_through_a_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _add(file: IO[bytes], body: bytes, said: hashlib._Hash) -> None:
    file.write(body)
    said.update(body)


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


class FileStore:
    """A directory, which must exist: where machines share it, `flock` must hold between them, as it does on NFS.

    Once there was a store in it, an empty one in its place, as below a disk that was unmounted, is not the store.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name = f"file://{root}"
        self._is_known = False  # its lock was seen

    async def get(self, key: str) -> Found | None:
        def get() -> Found | None:
            with self._there() as root:
                return self._read(root / _checked(key))

        return await self._thread(get)

    async def get_first(self, key: str, length: int) -> bytes | None:
        return await self._thread(lambda: self._read_first(_checked(key), length))

    async def create(self, key: str, body: bytes) -> str:
        return await self._thread(lambda: self._write_if(_checked(key), body, None))

    async def replace(self, key: str, body: bytes, tag: str) -> str:
        return await self._thread(lambda: self._write_if(_checked(key), body, tag))

    async def put(self, key: str, body: bytes) -> None:
        def put() -> None:
            with self._there() as root, self._locked(root):
                self._write(root, _checked(key), body)

        await self._thread(put)

    async def put_file(self, key: str, path: Path, digest: str) -> None:
        reading = _Reading(path, digest)
        with reading:
            await self._thread(lambda: self._copy_in(_checked(key), reading))

    async def get_file(self, key: str, path: Path) -> str | None:
        return await asyncio.to_thread(self._copy_out, _checked(key), path)

    async def entries(self, prefix: str) -> list[Entry]:
        return await self._thread(lambda: self._list(prefix and _checked(prefix)))

    async def delete(self, keys: Sequence[str]) -> None:
        def delete() -> None:
            with self._there() as root, self._locked(root):
                for key in keys:
                    self._remove(root, _checked(key))

        await self._thread(delete)

    async def _thread(self, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.to_thread(work)
        except OSError as problem:
            raise StoreError(f"{self._name} did not do it: {problem.strerror}") from None

    @contextmanager
    def _there(self) -> Iterator[Path]:
        """The directory as it is now, by a name that stays its own, whatever is mounted or renamed meanwhile."""
        try:
            root = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise StoreError(f"{self._name} does not exist: there is no such directory") from None
        except OSError as problem:
            raise StoreError(f"{self._name} did not do it: {problem.strerror}") from None
        try:
            found = Path(f"/proc/self/fd/{root}")
            was_known = self._is_known  # before the look: somebody may make it known just after
            if (found / _LOCK).exists():
                self._is_known = True
            elif was_known:
                raise StoreError(f"{self._name} is not there: another directory is in its place")
            yield found
        finally:
            os.close(root)

    @contextmanager
    def _locked(self, root: Path) -> Iterator[None]:
        """Alone, among all processes that write here. Whoever holds the lock for long is taken for stuck."""
        lock = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._is_known = True
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while True:
                with suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise StoreError(f"{self._name} does not answer: another process holds its lock")
                time.sleep(0.005)
            yield
        finally:
            os.close(lock)

    def _read(self, path: Path) -> Found | None:
        try:
            with open(path, "rb") as file:
                body, stat = file.read(), os.fstat(file.fileno())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        return Found(body, f"{hashlib.sha256(body).hexdigest()}-{stat.st_mtime_ns}-{stat.st_ino}")

    def _read_first(self, key: str, length: int) -> bytes | None:
        with self._there() as root:
            try:
                with open(root / key, "rb") as file:
                    return file.read(length)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None

    def _write_if(self, key: str, body: bytes, tag: str | None) -> str:
        with self._there() as root, self._locked(root):
            found = self._read(root / key)
            if (found.tag if found else None) != tag:
                raise Conflict(f"{key} of {self._name} was changed by somebody else")
            self._write(root, key, body)
            written = self._read(root / key)
        assert written is not None
        return written.tag

    def _write(self, root: Path, key: str, body: bytes) -> None:
        """Replace a file in one step, under the lock: after a loss of power it is the old one or the new one."""
        fresh = root / _FRESH
        with open(fresh, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        self._name_it(root, fresh, key)

    def _copy_in(self, key: str, reading: _Reading) -> None:
        """As `_write`, of a file, which may take long and so is not under the lock before it is there."""
        with self._there() as root:
            with tempfile.NamedTemporaryFile(prefix=_FRESH_FILE, dir=root, delete=False) as file:
                try:
                    reading.copy(file)
                    file.flush()
                    os.fsync(file.fileno())
                    with self._locked(root):
                        self._name_it(root, Path(file.name), key)
                finally:
                    Path(file.name).unlink(missing_ok=True)
            for each in root.glob(f"{_FRESH_FILE}*"):  # whoever wrote these was killed
                with suppress(FileNotFoundError):
                    if each.stat().st_mtime < time.time() - _LONG_FORGOTTEN:
                        each.unlink()

    def _copy_out(self, key: str, path: Path) -> str | None:
        try:
            with self._there() as root:
                source = open(root / key, "rb")  # noqa: SIM115
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as problem:
            raise StoreError(f"{self._name} did not do it: {problem.strerror}") from None
        said = hashlib.sha256()
        with source, open(path, "xb") as file:
            while body := source.read(_PART):
                _add(file, body, said)
        return said.hexdigest()

    def _name_it(self, root: Path, fresh: Path, key: str) -> None:
        """Give a file that is on the disk its name, and bring that to the disk."""
        target = root / key
        folders = [root / each for each in Path(key).parents]  # from the innermost to the root
        changed = 1 + sum(not each.is_dir() for each in folders)
        folders[0].mkdir(parents=True, exist_ok=True)
        fresh.rename(target)
        for folder in folders[:changed]:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def _list(self, prefix: str) -> list[Entry]:
        def fail(problem: OSError) -> None:
            if not isinstance(problem, FileNotFoundError | NotADirectoryError):  # there is nothing below it
                raise problem

        found = []
        with self._there() as root:
            for folder, _, names in os.walk(root / prefix, onerror=fail):
                for name in names:
                    file = Path(folder, name)
                    if not name.startswith(_OURS):
                        with suppress(FileNotFoundError):
                            stat = file.stat()
                            found.append(Entry(str(file.relative_to(root)), stat.st_size, stat.st_mtime))
        return sorted(found, key=lambda each: each.key)

    def _remove(self, root: Path, key: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            (root / key).unlink()
        for folder in list((root / key).parents)[: key.count("/")]:  # as in S3, a folder is what has objects
            with suppress(OSError):
                folder.rmdir()
