"""Processes of this machine, by their ids."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CAP_SYS_NICE = 1 << 23
_MOST_LOOKS = 10


def lives(pid: int) -> bool:
    """Is there such a process of ours? One that ended and was not waited for yet still is."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return pid > 1


def runs(pid: int) -> bool:
    """Is there such a process, and has it not ended? One that nobody waited for yet has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def started(pid: int) -> str:
    """What names a process among all of this boot of the system: its id may be given again."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {pid} {stat.rpartition(')')[2].split()[19]}"


def can_prefer() -> bool:
    """May processes be put behind all others here, and taken back? Containers often lack the capability for that."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
    capable = bool(found and int(found[1], 16) & _CAP_SYS_NICE)
    return capable and shutil.which("chrt") is not None and os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def treat_as_others(*pids: int) -> None:
    """Take back what `chrt -i 0` did to processes, to their threads, and to those of all below them."""
    for _ in range(_MOST_LOOKS):  # whatever is begun meanwhile begins as its parent was
        behind = [each for pid in pids for each in _threads(pid) if _is_behind(each)]
        for each in behind:
            with suppress(OSError):
                os.sched_setscheduler(each, os.SCHED_OTHER, os.sched_param(0))
        if not behind:
            return


def joined(group: int, zygote: int) -> list[int]:
    """Those in a process group that a zygote has forked; it may have died, and then all are looked at."""
    alive = Path(f"/proc/{zygote}/task/{zygote}/children")
    try:
        candidates = alive.read_text(encoding="ascii").split()
    except OSError:
        candidates = [each for each in os.listdir("/proc") if each.isdigit()]
    return [int(each) for each in candidates if int(each) != group and _group(each) == group]


def _group(pid: str) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[2])


def below(pid: int) -> list[int]:
    """All that descend from a process now."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, file.read_text(encoding="ascii").split()):
                found += [child, *below(child)]
    return found


def _is_behind(thread: int) -> bool:
    try:
        return os.sched_getscheduler(thread) == os.SCHED_IDLE
    except OSError:
        return False


def _threads(pid: int) -> Iterator[int]:
    """The threads of a process and of all that descend from it."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for each in threads:
        yield int(each)
        with suppress(OSError):
            for child in Path(f"/proc/{pid}/task/{each}/children").read_text(encoding="ascii").split():
                yield from _threads(int(child))
