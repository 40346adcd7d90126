"""Can nginx listen where it is told to?"""

from __future__ import annotations

import errno
import fcntl
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from atcgen.compiler.plan import Plan
from atcgen.errors import Unavailable


@contextmanager
def held_addresses(plan: Plan) -> Iterator[None]:
    """Hold the addresses of the plan until the block ends; raises `Unavailable` when one cannot be listened on.

    Who connects meanwhile is refused, and asks again. `nginx -t` would listen on a free address for a moment, and drop
    whoever connects just then; on one that is held it does not. Workers that a killed nginx left behind do not count:
    the new one takes over from them.
    """
    with ExitStack() as stack:
        for each in () if _left_behind(Path(plan.paths.nginx_locks)) else plan.server.listen:
            stack.enter_context(_held(each))
        yield


def _held(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of before may linger
    if family == socket.AF_INET6:
        holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        holder.bind((host.strip("[]"), int(port)))
    except OSError as problem:
        holder.close()
        hint = "server.http_port or HTTP_PORT says which port, server.bind which address"
        raise Unavailable(f"cannot listen on {address}: {_said(problem)}", hint=hint) from None
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # nobody else from now on
    return holder


def _said(problem: OSError) -> str:
    return {
        errno.EADDRINUSE: "the port is in use",
        errno.EACCES: "only root may listen on that port",
        errno.EADDRNOTAVAIL: "this machine does not have that address",
    }.get(problem.errno or 0, problem.strerror or "unknown")


def _left_behind(locks: Path) -> bool:
    """Does an nginx of this state directory live? It holds the lock on its file."""
    return any(_is_held(each) for each in locks.glob("*"))


def _is_held(lock: Path) -> bool:
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
