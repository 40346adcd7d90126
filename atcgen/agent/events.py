"""The events of supervisord, a line each, from the pipe its listener writes to."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

Event = Callable[[str, dict[str, str]], None]


def follow_events(pipe: str, happened: Event) -> None:
    """Call with the name and the fields of every event from now on.

    What was said while no agent listened is dropped: an agent that starts asks supervisord for the state of everything.
    """
    # Open for writing as well, so that the pipe never ends.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while os.read(descriptor, 65_536):
            pass
    begun = b""

    def readable() -> None:
        nonlocal begun
        with suppress(BlockingIOError):
            while True:
                *lines, begun = (begun + os.read(descriptor, 65_536)).split(b"\n")
                for line in lines:
                    name, _, payload = line.decode(errors="replace").partition(" ")
                    happened(name, dict(each.partition(":")[::2] for each in payload.split()))

    asyncio.get_running_loop().add_reader(descriptor, readable)
