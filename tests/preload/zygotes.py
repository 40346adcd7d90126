"""A zygote without atc around it, and processes that ask it for a fork."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

SHIMS = Path(__file__).parents[2] / "atcgen/platforms/shims"
PATIENCE = 30.0


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that will be."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)


class Zygote:
    """One that loads what is in a directory of its own; programs are written there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket, self.learned, self.log = home / "s", home / "learned", home / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.asked: list[subprocess.Popen[bytes]] = []

    @property
    def pid(self) -> int:
        """Its process."""
        assert self.process is not None
        return self.process.pid

    def words(self) -> list[str]:
        """The command that it is."""
        script = str(SHIMS / "python/zygote.py")
        return [sys.executable, script, str(self.socket), str(self.learned), str(self.home)]

    def start(self, **environ: str) -> None:
        """Have it listen."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.words(), cwd=self.home, env=os.environ | environ, stdout=log, stderr=log, process_group=0
            )
        until(self.listens, "the zygote listens")

    def listens(self) -> bool:
        """Can it be asked?"""
        table = Path("/proc/net/unix").read_text(encoding="utf-8")
        return any(line.endswith(f" {self.socket}") and " 00010000 " in line for line in table.splitlines())

    def ask(
        self, program: str, *arguments: str, env: Mapping[str, str] | None = None, before: str = ""
    ) -> subprocess.Popen[bytes]:
        """Run a program of Python's by a fork; `before` is for the shell that asks."""
        script = f"program{len(self.asked)}.py"
        (self.home / script).write_text(program, encoding="utf-8")
        asking = [sys.executable, "-I", "-S", str(SHIMS / "preload/ask.py"), str(self.socket)]
        words = [*asking, sys.executable, script, *arguments]
        process = subprocess.Popen(
            ["/bin/sh", "-c", f'{before}\nexec "$@"', "sh", *words],
            cwd=self.home,
            env=dict(env or {"PATH": os.environ["PATH"]}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self.asked.append(process)
        return process

    def said(self, program: str, *arguments: str, env: Mapping[str, str] | None = None, before: str = "") -> str:
        """What a program prints that is run by a fork, and ends well."""
        process = self.ask(program, *arguments, env=env, before=before)
        out, complaints = process.communicate(timeout=PATIENCE)
        assert (process.returncode, complaints) == (0, b""), complaints
        return out.decode()

    def children(self) -> list[int]:
        """The processes it has forked that are there, ended ones too."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        return [int(each) for each in text.split()]

    def end(self) -> None:
        """End everything."""
        for each in filter(None, [*self.asked, self.process]):
            with suppress(OSError):
                os.killpg(each.pid, signal.SIGKILL)
            for pipe in filter(None, (each.stdout, each.stderr)):
                pipe.close()
            each.wait()


_Z = TypeVar("_Z", bound=Zygote)


def first_line(process: subprocess.Popen[bytes]) -> str:
    """What a process says first."""
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def outcome(process: subprocess.Popen[bytes]) -> int:
    """How a process ended, as subprocess has it."""
    return process.wait(PATIENCE)


@contextmanager
def zygote(kind: type[_Z]) -> Iterator[_Z]:
    """One that has not been started."""
    home = Path(tempfile.mkdtemp(prefix="zyg-"))
    found = kind(home)
    try:
        yield found
    finally:
        found.end()
        shutil.rmtree(home)
