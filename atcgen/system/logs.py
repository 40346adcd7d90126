"""The log files of tenants, as supervisord writes them, and the access logs, as nginx does."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from atcgen.compiler.plan import Paths, TenantPlan
from atcgen.compiler.render import PREPARE_SLOT

PREPARE_LOG_SLOTS = (PREPARE_SLOT, 0, 1)  # in the order in which they are usually written
_LINES = 20
_BYTES = 4_000
_BLOCK = 65_536
_REFUSED = frozenset({401, 403})
_DISORDER = 3.0  # seconds by which lines of several workers may stand in another order
NGINX_LOG_LIMIT = 10 * 1024**2  # bytes; one older file of that size is kept


def tenant_log(plan: TenantPlan, slot: int) -> Path:
    """What the process of a slot says."""
    return Path(f"{plan.log}.{slot}.log")


def size_of(file: Path) -> int:
    """The size in bytes, 0 when there is no such file."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def tail_since(file: Path, offset: int) -> str:
    """The last lines written after `offset`; a file that is shorter was rotated since and is read from its start."""
    size = size_of(file)
    begin = max(offset if offset <= size else 0, size - _BYTES)
    try:
        with file.open("rb") as stream:
            stream.seek(begin)
            text = stream.read(_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-_LINES:])


def last_admitted(file: Path, since: float) -> float:
    """When the last request in an access log ended that was not refused for want of a login, in seconds of the epoch.

    0 when there is none after `since`. The log is read from its end, and no further than that.
    """
    try:
        with file.open("rb") as stream:
            for line in _backwards(stream, size_of(file)):
                said = json.loads(line)
                ended = datetime.fromisoformat(said["time"]).timestamp()
                if ended < since - _DISORDER:
                    return 0.0
                if said["status"] not in _REFUSED and ended + 1 > since:
                    return ended + 1  # the log counts whole seconds
    except (OSError, ValueError, KeyError):
        pass
    return 0.0


def _backwards(stream: BinaryIO, size: int) -> Iterator[bytes]:
    rest = b""
    while size:
        begin = max(0, size - _BLOCK)
        stream.seek(begin)
        rest, *lines = (stream.read(size - begin) + rest).split(b"\n")
        yield from (each for each in reversed(lines) if each)
        size = begin
    if rest:
        yield rest


def rotate_nginx_logs(paths: Paths, limit: int = NGINX_LOG_LIMIT) -> int:
    """Rename the logs of nginx above a limit in bytes and let nginx open new ones; how many there were."""
    files = [*Path(paths.logs, "access").glob("*.log"), Path(paths.logs, "nginx.error.log")]
    large = [each for each in files if size_of(each) > limit]
    for each in large:
        each.replace(each.with_suffix(".log.1"))
    if large:
        with suppress(OSError, ValueError):
            os.kill(int(Path(paths.nginx_pid).read_text(encoding="ascii")), signal.SIGUSR1)
    return len(large)
