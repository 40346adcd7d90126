"""Is a tenant answering? Asks its socket or port, soon and often at first, ever more rarely later."""

from __future__ import annotations

import asyncio
import errno
import os
import socket as sockets
import time
from dataclasses import dataclass

_FIRST_DELAY = 0.002
_LONGEST_DELAY = 0.5
_SHARE_OF_ELAPSED = 0.05


@dataclass(frozen=True)
class Address:
    """Where a process listens: a unix socket, or a port of this machine."""

    socket: str = ""
    port: int = 0

    def connect(self) -> sockets.socket:
        """A connection that does not block, made at once; raises `OSError` when nobody listens.

        Without the event loop: a boot is asked for dozens of times, and each would cost it ten times as much.
        """
        family, target = (sockets.AF_INET, ("127.0.0.1", self.port)) if self.port else (sockets.AF_UNIX, self.socket)
        sock = sockets.socket(family)
        sock.setblocking(False)
        problem = sock.connect_ex(target)
        if problem == errno.EINPROGRESS:  # on this machine the answer is there already
            problem = sock.getsockopt(sockets.SOL_SOCKET, sockets.SO_ERROR)
        if problem:
            sock.close()
            raise OSError(problem, os.strerror(problem))
        return sock


def listens(address: Address) -> bool:
    """Does anybody listen there right now?"""
    try:
        address.connect().close()
    except BlockingIOError:  # so many connect that it cannot keep up
        return True
    except OSError:
        return False
    return True


async def status_of(address: Address, path: str) -> int:
    """The status of a GET; raises `OSError` when there is no answer."""
    reader, writer = await asyncio.open_connection(sock=address.connect())
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Proto: https\r\nUser-Agent: atc\r\n"
            "Accept: */*\r\n\r\n".encode()
        )
        line = await reader.readline()
        words = line.split()
        if len(words) < 2 or not words[1].isdigit():
            raise OSError("the answer is not HTTP")
        return int(words[1])
    finally:
        writer.close()


async def wait_until_ready(
    address: Address,
    path: str,
    *,
    declared: bool,
    within: float,
) -> str:
    """Wait until the tenant answers; '' when it does, else why it is not ready `within` so many seconds."""
    began = time.monotonic()
    reason = "nobody listens"
    while True:
        elapsed = time.monotonic() - began
        if elapsed >= within:
            return f"not ready after {within:g} s: {reason}"
        try:
            status = await asyncio.wait_for(status_of(address, path), within - elapsed)
        except TimeoutError:
            reason = f"GET {path} was not answered"
        except (OSError, EOFError):
            pass
        else:
            if status < (400 if declared else 500):
                return ""
            reason = f"GET {path} was answered with {status}"
        await asyncio.sleep(min(_LONGEST_DELAY, max(_FIRST_DELAY, elapsed * _SHARE_OF_ELAPSED)))
