"""Gunicorn settings: one process with enough threads for open streams and ordinary requests."""

import gc
import os
import signal
from types import FrameType
from typing import Any

wsgi_app = "app:app"
workers = 1
worker_class = "gthread"
threads = 64
graceful_timeout = 10
# Longer than a proxy keeps an idle connection, so that it never sends a request into a closing one.
keepalive = 75
# The prefix comes from the environment alone, never from a request header.
forwarder_headers = ""
if os.path.isdir("/dev/shm"):
    worker_tmp_dir = "/dev/shm"

# Importing makes no garbage; collecting meanwhile only makes the start slower.
gc.disable()


def post_worker_init(worker: Any) -> None:
    """End the live streams as soon as a stop is asked for: a stop waits for open responses."""
    gc.freeze()
    gc.enable()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        _close_streams_before(number)


def worker_exit(server: Any, worker: Any) -> None:
    """End the streams of a worker that stops for another reason, such as a killed parent."""
    from calendar_app.live import broadcaster

    broadcaster.close()


def _close_streams_before(number: signal.Signals) -> None:
    from calendar_app.live import broadcaster

    stop = signal.getsignal(number)

    def close_then_stop(signum: int, frame: FrameType | None) -> None:
        broadcaster.close()
        if callable(stop):
            stop(signum, frame)

    signal.signal(number, close_then_stop)
