"""Clients that go on asking while something changes, and count what was lost.

Three kinds: a connection per request; kept connections on which a GET is repeated once when a reused connection closes
without an answer, as browsers do; kept connections without that, whose losses a server before nginx 1.27.4 cannot
avoid when it reloads.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

_PATIENCE = 30.0  # seconds for an answer


class Kind(Enum):
    """How a client uses connections."""

    ONCE = "a connection per request"
    REPEATING = "kept connections, a closed one repeated once"
    RAW = "kept connections, nothing repeated"


@dataclass
class Count:
    """What became of the requests of some clients."""

    good: int = 0
    lost: int = 0
    repeated: int = 0
    failures: list[str] = field(default_factory=list)

    def __add__(self, other: Count) -> Count:
        return Count(
            self.good + other.good,
            self.lost + other.lost,
            self.repeated + other.repeated,
            self.failures + other.failures,
        )


class Unanswered(Exception):
    """The connection ended before a whole answer had come."""


class Client:
    """One client, which asks for one path, again and again, in a thread of its own."""

    def __init__(self, port: int, method: str, path: str, kind: Kind, body: bytes = b"") -> None:
        self.method, self.kind, self.count = method, kind, Count()
        self._port = port
        closing = "close" if kind is Kind.ONCE else "keep-alive"
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {closing}\r\nContent-Length: {len(body)}\r\n"
        )
        self._request = head.encode() + b"\r\n" + body
        self._sock: socket.socket | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._done.is_set():
            status = self._ask()
            if status == "200":
                self.count.good += 1
            else:
                self.count.lost += 1
                self.count.failures.append(status)
        self._hang_up()

    def _ask(self) -> str:
        """One request: the status of its answer, or why there is none."""
        reused = self._sock is not None
        try:
            return self._exchange()
        except (OSError, Unanswered) as problem:
            self._hang_up()
            if self.kind is not Kind.REPEATING or not reused or self.method != "GET":
                return repr(problem)
        self.count.repeated += 1
        try:
            return self._exchange()
        except (OSError, Unanswered) as problem:
            self._hang_up()
            return f"repeated: {problem!r}"

    def _exchange(self) -> str:
        if self._sock is None:
            self._sock = socket.create_connection(("127.0.0.1", self._port), _PATIENCE)
        sock = self._sock
        with suppress(BrokenPipeError, ConnectionResetError):  # the answer may have come before
            sock.sendall(self._request)
        said = b""
        while b"\r\n\r\n" not in said:
            said += self._more(sock, said)
        head, _, body = said.partition(b"\r\n\r\n")
        fields = dict(line.lower().partition(b": ")[::2] for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields.get(b"content-length", b"0")):
            body += self._more(sock, body)
        if fields.get(b"connection") == b"close":
            self._hang_up()
        return said[9:12].decode()

    def _more(self, sock: socket.socket, before: bytes) -> bytes:
        said = sock.recv(65_536)
        if not said:
            raise Unanswered("closed in an answer" if before else "closed without an answer")
        return said

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()
        self._sock = None


@contextmanager
def working(clients: list[Client]) -> Iterator[None]:
    """All of them at work."""
    with ExitStack() as stack:
        for each in clients:
            stack.enter_context(each)
        yield


def total(clients: list[Client], kind: Kind, method: str) -> Count:
    """What became of all requests of one kind."""
    return sum((each.count for each in clients if (each.kind, each.method) == (kind, method)), Count())
