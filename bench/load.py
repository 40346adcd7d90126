"""A client that needs nothing extra: keep-alive connections, one request at a time on each, one thread.

Its own CPU is not part of any figure; it is sparse with it all the same, so that it does not take the second processor
away from what is measured.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import quantiles


@dataclass
class Load:
    """What came of it: how many answers there were, all with the right status, and how long each took, in seconds."""

    good: int = 0
    latencies: list[float] = field(default_factory=list, repr=False)

    def percentile(self, share: int) -> float:
        """The time that so many of a hundred answers did not exceed, in seconds."""
        return quantiles(self.latencies, n=100, method="inclusive")[share - 1]


def request(path: str) -> bytes:
    """A GET as a browser behind a proxy would send it, on a connection that is kept."""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n".encode()


class Client:
    """Keep-alive connections to one port, for one path whose answers have all the same length.

    They are opened anew for each load: nginx ends a connection after its thousandth request.
    """

    def __init__(self, port: int, path: str, connections: int, status: int = 200) -> None:
        self.port = port
        self.status = str(status).encode()
        self.request = request(path)
        self.connections = connections

    def flood(self, requests: int) -> Load:
        """As many requests as fast as they are answered."""
        return self._load(requests, float("inf"))

    def pace(self, rate: float, seconds: float) -> Load:
        """So many requests a second, whatever the answers do; a time counts from when its request was due."""
        return self._load(int(rate * seconds), rate)

    def _load(self, requests: int, rate: float) -> Load:
        load, poll = Load(), select.epoll()
        with ExitStack() as stack:
            socks = {sock.fileno(): stack.enter_context(sock) for sock in map(self._open, range(self.connections))}
            for each in socks:
                poll.register(each, select.EPOLLIN)
            length = self._length(next(iter(socks.values())))
            missing, due = dict.fromkeys(socks, length), dict.fromkeys(socks, 0.0)
            idle, sent, began = deque(socks), 0, time.perf_counter()
            while load.good < requests:
                while idle and sent < requests and began + sent / rate <= time.perf_counter():
                    number = idle.popleft()
                    due[number] = began + sent / rate
                    socks[number].sendall(self.request)
                    sent += 1
                pause = began + sent / rate - time.perf_counter() if idle and sent < requests else 60
                for number, _ in poll.poll(max(0, pause)):
                    said = socks[number].recv(65_536)
                    if not said or (missing[number] == length and said[9:12] != self.status):
                        raise ConnectionError(f"the answer was {said[:200]!r}")
                    missing[number] -= len(said)
                    if missing[number] <= 0:
                        load.latencies.append(time.perf_counter() - due[number])
                        missing[number] = length
                        load.good += 1
                        idle.append(number)
        poll.close()
        return load

    def _open(self, _: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _length(self, sock: socket.socket) -> int:
        sock.sendall(self.request)
        return len(_whole_answer(sock))


def _whole_answer(sock: socket.socket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        said += sock.recv(65_536)
    head, _, body = said.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += sock.recv(65_536)
    return head + b"\r\n\r\n" + body
