"""Break the connections of a process to the outside, as they are after a machine slept."""

from __future__ import annotations

import ctypes
import os
import re
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PIDFD_GETFD = 438  # the same number on all architectures
_LIBC = ctypes.CDLL(None, use_errno=True)
_INODE = re.compile(r"socket:\[(\d+)\]")
_ESTABLISHED, _LISTEN = "01", "0A"


@dataclass(frozen=True)
class Connection:
    """A line of /proc/net/tcp: the two ends as the kernel spells them."""

    local: str
    remote: str
    state: str
    inode: str


def parse(table: str) -> list[Connection]:
    """The lines of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return [Connection(row[1], row[2], row[3], row[9]) for row in rows]


def outgoing(connections: Sequence[Connection], owned: set[str]) -> list[Connection]:
    """Those of a machine that it opened itself to somewhere else; `owned` are the inodes of its sockets."""
    own = [each for each in connections if each.inode in owned]
    ends = {each.local for each in own if each.state == _ESTABLISHED}
    ports = {each.local.rpartition(":")[2] for each in own if each.state == _LISTEN}
    return [
        each
        for each in own
        if each.state == _ESTABLISHED and each.remote not in ends and each.local.rpartition(":")[2] not in ports
    ]


def break_outgoing(pids: Iterable[int]) -> int:
    """Reset the connections that processes opened to outside; how many."""
    holders = {inode: (pid, number) for pid in pids for inode, number in _sockets(pid)}
    table = parse(Path("/proc/net/tcp").read_text("ascii")) + parse(Path("/proc/net/tcp6").read_text("ascii"))
    return sum(_reset(*holders[each.inode]) for each in outgoing(table, set(holders)))


def _sockets(pid: int) -> list[tuple[str, int]]:
    found = []
    with suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                if inode := _INODE.fullmatch(os.readlink(f"/proc/{pid}/fd/{name}")):
                    found.append((inode[1], int(name)))
    return found


def _reset(pid: int, number: int) -> bool:
    """Disconnect the socket of another process: it finds ECONNRESET or the end of the stream."""
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        fd = _LIBC.syscall(_PIDFD_GETFD, process, number, 0)
    finally:
        os.close(process)
    if fd < 0:
        return False
    with socket.socket(fileno=fd) as copy, suppress(OSError):
        copy.shutdown(socket.SHUT_RDWR)
    return True
