"""Tells open pages about changes, through Server-Sent Events."""

import json
import select
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock

from flask import Blueprint, Response, abort, request

HEARTBEAT_SECONDS = 15
# Fewer than the server has threads, so that pages are answered however many streams are open.
MAX_STREAMS = 48

blueprint = Blueprint("live", __name__)


class Listener:
    """One open stream. It is woken through a socket so that it can watch its client as well."""

    def __init__(self) -> None:
        self.wakeup, self._bell = socket.socketpair()
        self.wakeup.setblocking(False)
        self._bell.setblocking(False)
        self._messages: deque[str] = deque(maxlen=100)

    def send(self, message: str) -> None:
        """Hand over a message, from any thread."""
        self._messages.append(message)
        self.wake()

    def wake(self) -> None:
        """Ring the bell; when its buffer is full, it is ringing already."""
        with suppress(BlockingIOError):
            self._bell.send(b"!")

    def received(self) -> Iterator[str]:
        """The messages that have come in since the last call."""
        with suppress(BlockingIOError):
            self.wakeup.recv(4096)
        while self._messages:
            yield self._messages.popleft()

    def close(self) -> None:
        """Give back the sockets."""
        self.wakeup.close()
        self._bell.close()


class Broadcaster:
    """Passes every message on to all listeners of this process."""

    def __init__(self) -> None:
        self.closed = False
        self._listeners: set[Listener] = set()
        self._lock = Lock()

    def join(self) -> Listener | None:
        """A new listener, or None when there are as many as there may be."""
        with self._lock:
            if self.closed or len(self._listeners) >= MAX_STREAMS:
                return None
            listener = Listener()
            self._listeners.add(listener)
            return listener

    def leave(self, listener: Listener) -> None:
        """Make room for another listener."""
        with self._lock:
            self._listeners.discard(listener)
            listener.close()

    def publish(self, message: str) -> None:
        """Send a message to everyone."""
        with self._lock:
            for listener in self._listeners:
                listener.send(message)

    def close(self) -> None:
        """End all streams and allow no new ones."""
        self.closed = True
        with self._lock:
            for listener in self._listeners:
                listener.wake()


broadcaster = Broadcaster()


def announce(action: str, event_id: int) -> None:
    """Tell every open page that an event was created, changed or deleted."""
    data = json.dumps({"action": action, "id": event_id})
    broadcaster.publish(f"event: change\ndata: {data}\n\n")


@blueprint.get("/live")
def stream() -> Response:
    """An endless stream of the changes from now on."""
    listener = broadcaster.join()
    if listener is None:
        abort(503, "Too many pages are listening. Try again later.")
    lines = _lines(listener, request.environ.get("gunicorn.socket"))
    response = Response(lines, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(lambda: broadcaster.leave(listener))
    return response


def _lines(listener: Listener, client: socket.socket | None) -> Iterator[str]:
    yield "retry: 2000\n\n"
    poll = select.poll()
    poll.register(listener.wakeup, select.POLLIN)
    if client is not None:
        poll.register(client, select.POLLRDHUP)
    while not broadcaster.closed:
        ready = [descriptor for descriptor, _ in poll.poll(HEARTBEAT_SECONDS * 1000)]
        if client is not None and client.fileno() in ready:
            return
        yield from listener.received() if ready else [": still here\n\n"]
