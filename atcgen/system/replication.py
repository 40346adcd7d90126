"""A running litestream, asked over its control socket, and what the kernel says of its hold on a database.

`wait` and `timeout` in a request cancel, when it is answered, the read transaction that keeps a live application from
overwriting what was not shipped yet; the answer says that all is well. So neither is sent while an application lives.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from atcgen.errors import Unavailable
from atcgen.system.litestream import NotReplicated
from atcgen.system.sqlite import companion

_SECONDS_TO_ANSWER = 5.0
_FIRST_DELAY = 0.01
_LONGEST_DELAY = 0.5
_MARKS = range(123, 128)  # the bytes of a -shm that are locked by those who read from the log


@dataclass(frozen=True)
class Position:
    """The last transaction that Litestream has seen, and the last that the replica has; 0 is none."""

    txid: int
    replicated: int

    @property
    def is_replicated(self) -> bool:
        """Has the replica everything that was seen, and has anything been seen?"""
        return self.replicated >= self.txid > 0


@dataclass(frozen=True)
class Report:
    """A database as a running litestream knows it, and when (in seconds since 1970) the replica last had everything."""

    path: str
    status: str
    txid: int
    replicated_at: float | None


async def sync(socket: str, database: str, *, wait: bool, timeout: float = _SECONDS_TO_ANSWER) -> Position:  # noqa: ASYNC109
    """Look into the log now; with `wait`, until the replica has it. `wait` only when the application is dead.

    Without `wait` the position in the answer is that of the last upload: ask again. Raises `NotReplicated` when
    Litestream says why not, with `wait` also when nothing was ever replicated, and `Unavailable` when it is silent.
    """
    body: dict[str, object] = {"path": database}
    if wait:
        body |= {"wait": True, "timeout": math.ceil(timeout)}
    said = await _ask(socket, "POST", "/sync", timeout + (1 if wait else 0), json.dumps(body))
    position = Position(said["txid"], said["replicated_txid"])
    if wait and not position.is_replicated:
        raise NotReplicated(f"{position.replicated} of {position.txid} transactions of {database} are in the store")
    return position


async def wait_until_replicated(socket: str, database: str, patience: float) -> Position:
    """Wait until the replica has everything that was committed before this was asked; an application may live.

    Bears a litestream that is just starting, and databases that it does not find yet. Raises `NotReplicated`.
    """
    deadline = time.monotonic() + patience
    wanted, delay, reason = 0, _FIRST_DELAY, "it has not answered"
    while (left := deadline - time.monotonic()) > 0:
        try:
            position = await sync(socket, database, wait=False, timeout=left)
        except (NotReplicated, Unavailable) as problem:
            reason = str(problem)
        else:
            wanted = wanted or position.txid
            if position.replicated >= wanted > 0:
                return position
            reason = f"{position.replicated} of {position.txid} transactions are in the store"
        await asyncio.sleep(min(delay, max(0, deadline - time.monotonic())))
        delay = min(_LONGEST_DELAY, delay * 1.5)
    raise NotReplicated(f"{database} was not replicated within {patience:g} s: {reason}")


async def report(socket: str) -> list[Report]:
    """What a status page shows. It changes nothing and asks the store nothing."""
    listed = (await _ask(socket, "GET", "/list", _SECONDS_TO_ANSWER))["databases"]
    return [
        Report(each["path"], each["status"], await _txid(socket, each["path"]), _seconds(each.get("last_sync_at")))
        for each in listed
    ]


def holds_read_lock(database: Path, pid: int) -> bool:
    """Does the process hold a reader's lock on the log, as Litestream must while an application lives?

    Without it the application overwrites its log when it likes, and what was not shipped is not missed by anybody.
    """
    try:
        inode = companion(database, "-shm").stat().st_ino
    except FileNotFoundError:
        return False
    return any(
        _is_mark(line.split(), inode, pid) for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()
    )


def _is_mark(words: list[str], inode: int, pid: int) -> bool:
    """One line: `1: POSIX ADVISORY READ PID MAJOR:MINOR:INODE FIRST LAST`; `1: -> POSIX ...` is one that waits."""
    if len(words) != 8 or words[1] != "POSIX" or words[3] != "READ" or words[4] != str(pid):
        return False
    # The device is not compared: some filesystems say another one here than in stat.
    first, last = int(words[6]), math.inf if words[7] == "EOF" else int(words[7])
    return words[5].rpartition(":")[2] == str(inode) and first < _MARKS.stop and last >= _MARKS.start


async def _txid(socket: str, database: str) -> int:
    return int((await _ask(socket, "GET", f"/txid?path={quote(database)}", _SECONDS_TO_ANSWER))["txid"])


async def _ask(socket: str, method: str, target: str, within: float, body: str = "") -> Any:
    """The data of an answer; one connection for each question."""
    head = f"{method} {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write((head + body).encode())
                answer = await reader.read()
            finally:
                writer.close()
        top, _, content = answer.partition(b"\r\n\r\n")
        status, said = int(top.split()[1]), json.loads(content)
    except (OSError, TimeoutError, ValueError, IndexError) as problem:
        why = f"{os.strerror(problem.errno)}" if isinstance(problem, OSError) and problem.errno else "no answer in time"
        raise Unavailable(f"litestream does not answer: {why}") from None
    if status != 200:
        raise NotReplicated(f"litestream says: {said.get('error', status)}")
    return said


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()
