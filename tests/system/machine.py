"""One machine of a test: an atc with a home of its own, which can be destroyed as machines are."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atcgen.replica.notes import MARKER
from atcgen.system.agent import ask
from tests.system.freezing import command, frozen, link, processes, read, send, those_of
from tests.system.running import Atc, wait_until

TENANT = "t/x"
PROGRAM = "t.x"
PATH = f"/{TENANT}/"


@dataclass
class Machine:
    """One of those that share the store."""

    name: str
    home: Path
    port: int
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _begun: int = 0
    _suspended: list[int] = field(default_factory=list)

    @property
    def atc(self) -> Atc:
        """For asking it."""
        assert self.process
        return Atc(self.port, self.home, self.process)

    @property
    def data(self) -> Path:
        """Where the tenant's databases are."""
        return self.home / "data" / PROGRAM

    @property
    def marker(self) -> Path:
        """What is noted beside the databases."""
        return self.data / MARKER

    def start(self) -> Machine:
        """`atc run`, until it serves."""
        return self.launch().ready()

    def launch(self) -> Machine:
        """`atc run`, without waiting."""
        log = self.home / ".atc/logs/agent.log"
        self._begun = log.read_text().count("agent.ready") if log.exists() else 0
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLY_"))}
        with open(self.home / "log", "ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "atcgen", "run"],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environ, "FLY_MACHINE_ID": self.name, **self.environ},
            )
        return self

    def ready(self) -> Machine:
        """Wait until it serves."""

        def is_up() -> bool:
            assert self.process
            assert self.process.poll() is None, (self.home / "log").read_text()
            return self.asked("/up")[0] == 200 and self.atc.log().count("agent.ready") > self._begun

        wait_until(is_up)
        return self

    def end(self) -> None:
        """SIGTERM, and wait."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.crash()
                raise

    def crash(self) -> None:
        """SIGKILL everything at one moment; the files stay."""
        if self.process is None:
            return
        everything = frozen(self.process.pid, str(self.home))
        send(everything, signal.SIGKILL)
        self.process.wait(30)
        # A stopped process whose group lost its parent is continued by the kernel, with a SIGHUP, before it is killed.
        wait_until(self._is_gone)

    def _is_gone(self) -> bool:
        """Is nothing left? Else end it: nginx's workers outlive a master that is killed."""
        left = those_of(str(self.home))
        send(left, signal.SIGKILL)
        return not left

    def suspend(self) -> None:
        """Stop every process at one moment, as when a machine is suspended; clocks go on."""
        assert self.process
        first = [self.pid(), self.atc.pid_of("atc-agent:0")]
        everything = frozen(self.process.pid, str(self.home))
        self._suspended = [pid for pid in first if pid] + [pid for pid in everything if pid not in first]

    def resume(self) -> None:
        """Let them go on.

        The application is continued first, since that would undo what the agent does to it, and then the agent, to
        which the news that time has passed comes before any request does.
        """
        send(self._suspended, signal.SIGCONT)
        self._suspended = []

    def destroy(self) -> None:
        """SIGKILL everything at one moment, and no file is left but atc.yml."""
        self.crash()
        for each in self.home.iterdir():
            if each.name not in ("atc.yml", "log"):
                shutil.rmtree(each)

    def asked(self, path: str, method: str = "GET", timeout: float = 60) -> tuple[int, str]:
        """Status and body; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, headers={"Content-Length": "0"} if method == "POST" else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def add(self, number: int) -> bool:
        """Post one row; was it acknowledged?"""
        return self.asked(f"{PATH}add?id={number}", "POST")[0] == 200

    def wake(self, within: float = 40) -> None:
        """Have the tenant up."""
        wait_until(lambda: self.asked(PATH)[0] == 200, within)

    def rows(self, within: float = 40) -> dict[str, Any]:
        """What the tenant has, as soon as it answers here."""
        answers: list[str] = []

        def is_answered() -> bool:
            status, body = self.asked(f"{PATH}rows")
            answers.extend([body] if status == 200 else [])
            return bool(answers)

        wait_until(is_answered, within)
        said: dict[str, Any] = json.loads(answers[0])
        return said

    def stop(self) -> None:
        """`atc stop`; returns when the tenant is down, not when its databases are given back."""
        assert ask(self.home / ".atc", "POST", "/stop", TENANT)[0] == 200

    def status(self) -> dict[str, Any]:
        """What `atc status` says of the tenant."""
        found: dict[str, Any] = next(
            each for each in ask(self.home / ".atc", "GET", "/status")[1]["tenants"] if each["id"] == TENANT
        )
        return found

    def pid(self) -> int:
        """The application's process, 0 when there is none."""
        return int(self.status()["pid"])

    def litestream(self) -> int:
        """Litestream's process, 0 when there is none."""
        words = str(self.home / ".atc/run/replica")
        for pid in processes():
            cwd = link(pid, "cwd")
            if cwd.startswith(words) and b"litestream" in read(pid, "cmdline"):
                return pid
        return 0

    def log_has(self, words: str) -> int:
        """How often the agent said something."""
        return self.atc.log().count(words)

    def leftovers(self) -> list[str]:
        """Processes that belong to this machine and still run, with what they are."""
        return [f"{pid} {command(pid)}" for pid in those_of(str(self.home))]

    def refused(self) -> int:
        """How many starts of the tenant did not happen."""
        return self.log_has("tenant.failed") if self.process else 0
