"""Gunicorn settings: one process, with enough threads for open streams and ordinary requests."""

import signal
from types import FrameType
from typing import Any

threads = 32


def post_worker_init(worker: Any) -> None:
    """End the live streams as soon as a stop is asked for: a stop waits for open responses."""
    from events.live import changes

    stop = signal.getsignal(signal.SIGTERM)

    def close_then_stop(number: int, frame: FrameType | None) -> None:
        changes.close()
        if callable(stop):
            stop(number, frame)

    signal.signal(signal.SIGTERM, close_then_stop)
