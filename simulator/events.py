"""What happened: errors with the codes of the platform, and every request with the way it took."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Error:
    """A line of an app's log that the proxy wrote."""

    code: str
    app: str
    message: str
    machine: str = ""
    at: float = 0


@dataclass(frozen=True)
class Hop:
    """A machine that a request reached, and what it said; status 0 is nothing."""

    machine: str
    status: int
    replayed: bool = False
    reason: str = ""  # cache, fallback, replay; '' for the first


@dataclass(frozen=True)
class Delivery:
    """A request of a client: the machines it reached, and what the client got."""

    edge: str
    port: int
    method: str
    host: str
    target: str
    request_id: str
    hops: tuple[Hop, ...]
    status: int  # 0: the connection was closed without an answer
    cache: str = ""  # '', hit, miss, bypass
    error: str = ""

    @property
    def answered_by(self) -> str:
        """The machine whose answer the client got; '' if it was the proxy's."""
        return self.hops[-1].machine if self.hops and not self.hops[-1].replayed and not self.error else ""


@dataclass
class Log:
    """Everything that happened, for assertions."""

    errors: list[Error] = field(default_factory=list)
    _deliveries: dict[str, Delivery] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, code: str, app: str, message: str, machine: str = "") -> None:
        """Note an error in an app's log."""
        with self._lock:
            self.errors.append(Error(code, app, message, machine, time.time()))

    def delivered(self, delivery: Delivery) -> None:
        """Note a request as it is answered, or again what became of it."""
        with self._lock:
            self._deliveries[delivery.request_id] = delivery

    @property
    def deliveries(self) -> list[Delivery]:
        """Every request that was answered, in order."""
        with self._lock:
            return list(self._deliveries.values())

    def codes(self, app: str = "") -> list[str]:
        """The codes of the errors, of all apps or of one."""
        with self._lock:
            return [each.code for each in self.errors if app in ("", each.app)]
