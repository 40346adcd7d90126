"""A store in a directory."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from atcgen.system.store import OURS, PART, Conflict, Entry, Found, StoreError, checked
from atcgen.system.store_reading import Reading, add

_T = TypeVar("_T")

_LOCK_SECONDS = 9.0
_LOCK = f"{OURS}lock"
_FRESH = f"{OURS}new"
_FRESH_FILE = f"{OURS}put-"
_LONG_FORGOTTEN = 86_400.0


class DirectoryStore:
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
                return self._read(root / checked(key))

        return await self._thread(get)

    async def get_first(self, key: str, length: int) -> bytes | None:
        return await self._thread(lambda: self._read_first(checked(key), length))

    async def create(self, key: str, body: bytes) -> str:
        return await self._thread(lambda: self._write_if(checked(key), body, None))

    async def replace(self, key: str, body: bytes, tag: str) -> str:
        return await self._thread(lambda: self._write_if(checked(key), body, tag))

    async def put(self, key: str, body: bytes) -> None:
        def put() -> None:
            with self._there() as root, self._locked(root):
                self._write(root, checked(key), body)

        await self._thread(put)

    async def put_file(self, key: str, path: Path, digest: str) -> None:
        reading = Reading(path, digest)
        with reading:
            await self._thread(lambda: self._copy_in(checked(key), reading))

    async def get_file(self, key: str, path: Path) -> str | None:
        return await asyncio.to_thread(self._copy_out, checked(key), path)

    async def entries(self, prefix: str) -> list[Entry]:
        return await self._thread(lambda: self._list(prefix and checked(prefix)))

    async def delete(self, keys: Sequence[str]) -> None:
        def delete() -> None:
            with self._there() as root, self._locked(root):
                for key in keys:
                    self._remove(root, checked(key))

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

    def _copy_in(self, key: str, reading: Reading) -> None:
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
            while body := source.read(PART):
                add(file, body, said)
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
                    if not name.startswith(OURS):
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
