"""Times, as people say them."""

from __future__ import annotations

import time


def ago(moment: float) -> str:
    """How long ago a time is, in seconds of the epoch; 0 is never."""
    if not moment:
        return "-"
    seconds = int(max(0, time.time() - moment))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"
