"""The processes of a machine: started, signalled, frozen and thawed as a whole."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from simulator.init import descendants

_INIT = Path(__file__).with_name("init.py")


class Tree:
    """A command and everything that it started."""

    def __init__(self, init: Process) -> None:
        self._init = init

    @classmethod
    async def spawn(cls, command: Sequence[str], env: Mapping[str, str], home: Path, log: Path) -> Tree:
        """Start a command, which has a process afterwards; what it prints is added to a file."""
        with log.open("ab") as said:
            words = [sys.executable, "-I", "-S", str(_INIT), *command]
            init = await asyncio.create_subprocess_exec(
                *words, stdin=PIPE, stdout=PIPE, stderr=said, cwd=home, env=env, start_new_session=True
            )
        if init.stdout:
            await init.stdout.readline()
        return cls(init)

    @property
    def pids(self) -> list[int]:
        """Its processes, without the init."""
        return descendants(self._init.pid) if self.is_alive else []

    @property
    def is_alive(self) -> bool:
        """Did the init not end yet?"""
        return self._init.returncode is None

    def signal(self, number: signal.Signals) -> None:
        """Tell the main process."""
        if self._init.stdin and not self._init.stdin.is_closing():
            self._init.stdin.write(f"{number.value}\n".encode())

    def freeze(self) -> None:
        """Stop every process; those that are started meanwhile as well. Nobody gets a signal that it can see."""
        frozen: set[int] = set()
        while new := set(self.pids) - frozen:
            for pid in new:
                _tell(pid, signal.SIGSTOP)
            frozen |= new

    def thaw(self) -> None:
        """Let every process go on."""
        for pid in self.pids:
            _tell(pid, signal.SIGCONT)

    async def kill(self) -> None:
        """End every process at once, also frozen ones."""
        if self._init.stdin:
            self._init.stdin.close()
        await self._init.wait()

    async def wait(self) -> int:
        """The exit status of the main process, once no process is left."""
        return await self._init.wait()


def _tell(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
