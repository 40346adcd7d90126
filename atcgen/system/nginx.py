"""nginx: test a configuration, reload, and know which one it runs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path

from atcgen.compiler.plan import ServerPlan
from atcgen.errors import ApplyError, NginxRefused
from atcgen.system.logs import tail_since

_PATIENCE = 10.0


def test(configuration: Path, server: ServerPlan, error_log: Path) -> None:
    """Raise `NginxRefused` when nginx does not accept a configuration."""
    words = ["nginx", "-t", "-q", "-c", str(configuration)]
    words += ["-e", str(error_log)] if server.error_log_option else []
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NginxRefused(done.stderr.strip(), hint="please report this: the file passed every check")


def reload(pid_file: Path) -> None:
    """Ask the master to load its configuration anew; `wait_for_version` says whether it did."""
    try:
        os.kill(int(pid_file.read_text(encoding="ascii")), signal.SIGHUP)
    except (OSError, ValueError) as problem:
        raise ApplyError(f"nginx cannot be told to reload: {problem}") from None


async def running_version(status_socket: str) -> str:
    """The version that workers answer with, '' when none does."""
    try:
        reader, writer = await asyncio.open_unix_connection(status_socket)
    except OSError:
        return ""
    writer.write(b"GET /version HTTP/1.0\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.rpartition(b"\r\n\r\n")[2].decode(errors="replace").strip()


async def wait_for_version(status_socket: str, version: str, error_log: Path, offset: int) -> None:
    """Wait until the workers of a configuration answer.

    Raises `ApplyError` when they do not, at once when nginx says so in what it writes to its log after `offset`.
    """
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        if await running_version(status_socket) == version:
            return
        refusals = [line for line in tail_since(error_log, offset).splitlines() if "[emerg]" in line]
        if refusals:
            raise NginxRefused("\n".join(refusals))
        await asyncio.sleep(0.005)
    raise ApplyError("nginx kept its old configuration", hint="its error log says why")


def workers(pid_file: Path) -> frozenset[int]:
    """The processes of the master, as the kernel lists them; none where it does not."""
    try:
        master = pid_file.read_text(encoding="ascii").strip()
        return frozenset(map(int, Path(f"/proc/{master}/task/{master}/children").read_text(encoding="ascii").split()))
    except (OSError, ValueError):
        return frozenset()


async def wait_until_leaving(old: frozenset[int]) -> None:
    """Wait until none of these workers takes new connections: their titles say so, mostly within milliseconds."""
    deadline = time.monotonic() + _PATIENCE
    while any(_accepts(each) for each in old):
        if time.monotonic() >= deadline:
            return
        await asyncio.sleep(0.005)


def _accepts(worker: int) -> bool:
    try:
        title = Path(f"/proc/{worker}/cmdline").read_bytes()
    except OSError:
        return False
    return title.rstrip(b"\0 ") == b"nginx: worker process"
