"""The processes of a machine of a test: stopped, continued or killed, all of them at one moment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from atcgen.system.processes import runs


def killed(pid: int) -> float:
    """SIGKILL a process group; when."""
    assert pid > 1
    os.killpg(pid, signal.SIGKILL)
    return time.monotonic()


def is_stable(condition: Callable[[], bool], seconds: float) -> bool:
    """Does a condition hold at every look for so long?"""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        time.sleep(0.05)
    return True


def frozen(root: int, home: str) -> set[int]:
    """Every process of a machine, stopped: nobody starts another one or finishes anything meanwhile."""
    stopped: set[int] = set()
    while True:
        found = {root, *those_of(home)} | _below(root)
        fresh = {pid for pid in found - stopped if runs(pid)}
        if not fresh:
            return stopped
        send(fresh, signal.SIGSTOP)
        stopped |= fresh


def send(pids: Iterable[int], number: signal.Signals) -> None:
    """A signal to each that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def those_of(home: str) -> list[int]:
    """The processes that were started with a path in this directory, or work there, and run."""
    place = f"{home}/".encode()
    return [
        pid
        for pid in processes()
        if runs(pid)
        and (
            place in read(pid, "cmdline")
            or place in read(pid, "environ")
            or f"{link(pid, 'cwd')}/".startswith(f"{home}/")
        )
    ]


def processes() -> list[int]:
    """All but this one."""
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]


def command(pid: int) -> str:
    """What it was started with, for people."""
    return read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace") or "gone"


def read(pid: int, name: str) -> bytes:
    """A file of /proc, nothing when the process is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def link(pid: int, name: str) -> str:
    """A symlink of /proc."""
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""


def _below(root: int) -> set[int]:
    found: set[int] = set()
    left = [root]
    while left:
        for file in Path(f"/proc/{left.pop()}/task").glob("*/children"):
            with suppress(OSError):
                pids = {int(each) for each in file.read_text().split()} - found
                found |= pids
                left += pids
    return found
