"""Can nginx listen where it is told to?"""

from __future__ import annotations

import errno
import fcntl
import socket
from pathlib import Path

from atcgen.compiler.plan import Plan


def address_problem(plan: Plan) -> str:
    """Why an address of the plan cannot be listened on, '' when all can.

    Workers that a killed nginx left behind do not count: the new one takes over from them.
    """
    if _left_behind(Path(plan.paths.nginx_locks)):
        return ""
    for each in plan.server.listen:
        host, _, port = each.rpartition(":")
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((host.strip("[]"), int(port)))
            except OSError as problem:
                return f"cannot listen on {each}: {_said(problem)}"
    return ""


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
