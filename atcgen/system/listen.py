"""Can nginx listen where it is told to?"""

from __future__ import annotations

import errno
import fcntl
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from atcgen.compiler.plan import Plan


def address_problem(plan: Plan) -> str:
    """Why an address of the plan cannot be listened on, '' when all can.

    Workers that a killed nginx left behind do not count: the new one takes over from them.
    """
    if _left_behind(Path(plan.paths.nginx_locks)):
        return ""
    for each in plan.server.listen:
        try:
            _bound(each).close()
        except OSError as problem:
            return f"cannot listen on {each}: {_said(problem)}"
    return ""


@contextmanager
def kept_closed(plan: Plan) -> Iterator[None]:
    """Have whoever connects refused, so that they try again.

    `nginx -t` listens for a moment, and drops whoever it finds there then, which may be the very request that the
    machine was woken for. It has nothing against addresses that are taken.
    """
    with ExitStack() as stack:
        for each in plan.server.listen:
            with suppress(OSError):  # somebody listens
                taken = stack.enter_context(_bound(each))
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # nobody else listens beside it
        yield


def _bound(address: str) -> socket.socket:
    """A socket that has an address, and at which nobody is accepted."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host.strip("[]"), int(port)))
    except BaseException:
        sock.close()
        raise
    return sock


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
