"""Clients that go on asking in the background, and remember what failed."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from types import TracebackType


@dataclass(frozen=True)
class Failure:
    """A request without a 200; status 0 when there was no answer."""

    status: int
    said: str


@dataclass
class Hammering:
    """`clients` threads ask for one path until the block ends: half of them open a connection for each request, half
    keep theirs and, as browsers do, repeat a GET once when a reused connection closes without an answer. `patient` ones
    repeat once on a connection of their own as well.
    """

    port: int
    path: str
    clients: int
    patient: bool = False
    answered: int = 0
    repeated: int = 0
    failures: list[Failure] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Hammering:
        self._threads = [threading.Thread(target=self._go_on, args=(bool(n % 2),)) for n in range(self.clients)]
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._done.set()
        for each in self._threads:
            each.join()

    def _go_on(self, keeps: bool) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        while not self._done.is_set():
            repeats = (connection.sock is not None) + self.patient
            status = self._insist(connection, repeats)
            if status is None:
                continue
            if status != 200:
                self._failed(status, "")
            with self._lock:
                self.answered += 1
            if not keeps:
                connection.close()
        with suppress(OSError):
            connection.close()

    def _insist(self, connection: HTTPConnection, repeats: int) -> int | None:
        """The status of an answer, None when there was none after so many repeats."""
        while True:
            try:
                return self._ask(connection)
            except (OSError, HTTPException) as problem:
                connection.close()
                if not repeats:
                    self._failed(0, repr(problem))
                    return None
            repeats -= 1
            with self._lock:
                self.repeated += 1

    def _ask(self, connection: HTTPConnection) -> int:
        connection.request("GET", self.path)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status

    def _failed(self, status: int, said: str) -> None:
        with self._lock:
            self.failures.append(Failure(status, said))
