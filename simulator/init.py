"""The first process of a machine, as Fly's init: it starts the command, passes signals on, and ends with it.

Run by the simulator, by its name and with nothing but the standard library. What it is told comes over standard input:
a number is a signal for the main process, and the end of the input is the end of the machine. It says a line when the
main process is there; the command prints to standard error only. It is never stopped itself, so that a machine that is
suspended ends, too, when the simulator does.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36


def descendants(pid: int) -> list[int]:
    """The children of a process, their children, and so on; also those in other sessions."""
    found = _children(pid)
    for each in found:
        found += _children(each)
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _obey(main: int) -> None:
    for line in sys.stdin:
        with suppress(ProcessLookupError):
            os.kill(main, int(line))
    _kill_all()


def _kill_all() -> None:
    for pid in descendants(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _run(command: list[str]) -> int:
    pid = os.fork()
    if pid:
        os.write(1, b"\n")
        return pid
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(2, 1)
        os.execvp(command[0], command)
    except OSError as problem:
        os.write(2, f"{command[0]}: {problem}\n".encode())
    os._exit(127)


def main() -> int:
    """Run the command until it ends, and everything that it started."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    child = _run(sys.argv[1:])
    threading.Thread(target=_obey, args=[child], daemon=True).start()
    ended, status = os.wait()
    while ended != child:
        ended, status = os.wait()
    while True:
        _kill_all()
        try:
            os.wait()
        except ChildProcessError:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    os._exit(main())
