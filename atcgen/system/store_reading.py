"""A file on its way into a store, or out of one: its digest is taken as its bytes go by."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from atcgen.errors import AtcError
from atcgen.system.store import PART, Changed


class Reading:
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
        while body := self._file.read(PART):
            add(target, body, self._said)
        self._check()

    def _check(self) -> None:
        if self._said.hexdigest() != self._digest:
            raise Changed(f"{self._path.name} was changed while it was read")


def _not_through_a_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def add(file: IO[bytes], body: bytes, said: hashlib._Hash) -> None:
    file.write(body)
    said.update(body)
