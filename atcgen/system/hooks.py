"""Runs hooks: commands of the owner, each in a process group of its own that is killed when its time is over."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from atcgen.compiler.plan import HookPlan
from atcgen.system.logs import size_of, tail_since
from atcgen.system.processes import below

_LOG_LIMIT = 1024**2  # bytes; one older file of that size is kept
_BETWEEN_ATTEMPTS = 1.0  # seconds
_NOT_FOR_HOOKS = "SUPERVISOR_"


@dataclass(frozen=True)
class Surroundings:
    """What a hook finds around it."""

    environ: Mapping[str, str]
    directory: str
    log: Path  # of all hooks of this event
    user: str = ""  # whom it runs as, '' for who runs atc


def inherited(environ: Mapping[str, str], without: Iterable[str] = ()) -> dict[str, str]:
    """The environment of atc as hooks get it."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_NOT_FOR_HOOKS)}
    for name in without:
        kept.pop(name, None)
    return kept


async def run_hooks(hooks: Iterable[HookPlan], around: Surroundings, turns: asyncio.Semaphore) -> str:
    """Run all hooks of an event at once, as far as there are turns; why one failed, '' when none did."""
    problems = await asyncio.gather(*(_insist(each, around, turns) for each in hooks))
    return "\n".join(each for each in problems if each)


async def _insist(hook: HookPlan, around: Surroundings, turns: asyncio.Semaphore) -> str:
    problem = ""
    for attempt in range(hook.retry + 1):
        if attempt:
            await asyncio.sleep(_BETWEEN_ATTEMPTS)
        async with turns:
            problem = await _attempt(hook, around)
        if not problem:
            break
    return problem


async def _attempt(hook: HookPlan, around: Surroundings) -> str:
    name = f"hook {hook.event} ({hook.run[-1] if hook.run[0] == '/bin/sh' else ' '.join(hook.run)})"
    begins = size_of(around.log)
    try:
        with _opened(around.log) as log:
            begins = log.tell()
            log.write(f"{datetime.now():%Y-%m-%d %H:%M:%S} {hook.event}: {' '.join(hook.run)}\n".encode())
            log.flush()
            child = await _started(hook, around, log)
    except OSError as problem:
        return f"{name} could not be started: {problem.strerror}"
    try:
        async with asyncio.timeout(hook.timeout):
            status = await child.wait()
    except TimeoutError:
        return f"{name} took longer than {hook.timeout:g} s"
    finally:
        if child.returncode is None:
            _kill(child.pid)
            await child.wait()
    if not status:
        return ""
    said = tail_since(around.log, begins).partition("\n")[2]
    return f"{name} ended with {status}" + (f"\n{said}" if said else "")


def _opened(log: Path) -> IO[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    if size_of(log) > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    return log.open("ab")


async def _started(hook: HookPlan, around: Surroundings, log: IO[bytes]) -> asyncio.subprocess.Process:
    whom: dict[str, Any] = {}
    if around.user and os.geteuid() == 0:
        entry = pwd.getpwnam(around.user)
        groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
        whom = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}
    return await asyncio.create_subprocess_exec(
        *hook.run,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd=around.directory,
        env=around.environ,
        start_new_session=True,
        **whom,
    )


def _kill(pid: int) -> None:
    """End a hook and everything below it, in its group or not."""
    for each in below(pid):
        with suppress(OSError):
            os.kill(each, signal.SIGKILL)
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
