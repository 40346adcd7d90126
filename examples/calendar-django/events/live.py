"""Tells open pages about changes, through Server-Sent Events. Each open page holds a thread of the server."""

from collections.abc import Iterator
from threading import Condition
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

HEARTBEAT_SECONDS = 15
MAX_STREAMS = 24  # fewer than the server has threads


class Changes:
    """Counts the changes that this process made, and wakes who waits for the next."""

    def __init__(self) -> None:
        self.changed = Condition()
        self.count = self.listeners = 0
        self.closed = False

    def note(self) -> None:
        """One more."""
        with self.changed:
            self.count += 1
            self.changed.notify_all()

    def close(self) -> None:
        """End all streams. It takes no lock: a signal handler may be what calls it."""
        self.closed = True

    def stream(self, seen: int) -> Iterator[str]:
        """Messages for one page that knows of `seen` changes."""
        try:
            yield "retry: 2000\n\n"
            quiet = 0
            while not self.closed:
                with self.changed:
                    is_news = self.count > seen or (self.changed.wait(timeout=1) and self.count > seen)
                quiet = 0 if is_news else quiet + 1
                if is_news:
                    seen = self.count
                    yield f"event: change\ndata: {seen}\n\n"
                elif quiet % HEARTBEAT_SECONDS == 0:
                    yield ": still here\n\n"
        finally:
            self.listeners -= 1


changes = Changes()


def announce(**_: Any) -> None:
    """An event was saved or deleted; once it is so for others, open pages hear of it."""
    transaction.on_commit(changes.note)


@require_GET
def stream(request: HttpRequest) -> HttpResponseBase:
    """An endless stream of the changes from now on."""
    if changes.listeners >= MAX_STREAMS:
        return StreamingHttpResponse(status=503)
    changes.listeners += 1
    response = StreamingHttpResponse(changes.stream(changes.count), content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-cache"
    response.headers["X-Accel-Buffering"] = "no"
    return response
