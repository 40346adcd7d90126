"""A fleet: machines that follow one store, and people who push to it, each with a directory of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atcgen.system.agent import ask
from tests.system.machine import Machine
from tests.system.running import APPLICATION, reserved_port

SECRET = "known to all machines"


def atc_yml(store: Path, *tenants: str, poll: str = "1h", more: str = "") -> str:
    """The file of every machine: tenants of user `a`."""
    listed = ", ".join(f"{each}: {{}}" for each in tenants)
    return (
        "server: {bind: 127.0.0.1, hold: 20s, kill_timeout: 10s}\n"
        f"app:\n  root: {APPLICATION.parent}\n  start: {sys.executable} application.py ${{socket}}\n"
        f"  env: {{OWNER: '${{tenant.id}}', STARTS: {store.parent}/starts, NOTES: {store.parent}/notes}}\n"
        f"fleet: {{config: 'file://{store}', secret: '${{ENV:FLEET_SECRET}}', poll: {poll}}}\n"
        f"idle: 1h\n{more}"
        f"users: {{a: {{tenants: {{{listed}}}}}}}\n"
    )


@dataclass(frozen=True)
class Person:
    """Somebody with an atc.yml."""

    home: Path

    @property
    def file(self) -> Path:
        """What they edit."""
        return self.home / "atc.yml"

    def atc(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """The atc command, where they sit."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLY_"))}
        return subprocess.run(
            [sys.executable, "-m", "atcgen", *words],
            cwd=self.home,
            env={**environ, "FLEET_SECRET": SECRET, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def done(self, *words: str) -> str:
        """What a command that succeeds prints."""
        said = self.atc(*words)
        assert said.returncode == 0, said.stderr
        return said.stdout

    def push(self, *tenants: str, store: Path, more: str = "") -> None:
        """Push a file with these tenants."""
        self.file.write_text(atc_yml(store, *tenants, more=more))
        self.done("push")


@dataclass
class Fleet:
    """Everybody, and what they share."""

    directory: Path
    machines: list[Machine]

    @property
    def store(self) -> Path:
        """A directory."""
        return self.directory / "store"

    def text(self, *tenants: str, poll: str = "1h", more: str = "") -> str:
        """An atc.yml."""
        return atc_yml(self.store, *tenants, poll=poll, more=more)

    def person(self, name: str, text: str) -> Person:
        """Somebody new, with a file."""
        home = self.directory / name
        home.mkdir()
        (home / "atc.yml").write_text(text)
        return Person(home)

    def edition(self, number: int) -> Path:
        """Where it lies."""
        return self.store / f"fleet/config/{number:06}.json"

    def report(self, machine: Machine) -> dict[str, Any]:
        """What a machine says of itself; nothing before it said anything."""
        try:
            said: dict[str, Any] = json.loads((self.store / f"fleet/machines/{machine.name}.json").read_text())
        except (OSError, ValueError):
            return {}
        return said

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The store is not there. A file is in its place, so that nobody makes a new one."""
        away = self.store.with_name("away")
        self.store.rename(away)
        self.store.write_text("")
        try:
            yield
        finally:
            self.store.unlink()
            away.rename(self.store)


def edition_of(machine: Machine) -> int:
    """The number of what runs there."""
    return int(shared(machine)["edition"])


def shared(machine: Machine) -> dict[str, Any]:
    """What the agent knows of editions."""
    said: dict[str, Any] = ask(machine.home / ".atc", "GET", "/status")[1]["shared"]
    return said


@contextmanager
def fleet(count: int) -> Iterator[Fleet]:
    """Machines m0, m1 … that do not run yet and have no atc.yml; all that they started is ended afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="atcf-", dir="/tmp"))  # short, for the kernel's limit on socket paths
    (directory / "store").mkdir()
    machines = []
    with ExitStack() as ports:
        for index in range(count):
            home, port = directory / f"m{index}", ports.enter_context(reserved_port())
            home.mkdir()
            machines.append(Machine(f"m{index}", home, port, {"HTTP_PORT": str(port), "FLEET_SECRET": SECRET}))
        try:
            yield Fleet(directory, machines)
        finally:
            for each in machines:
                each.crash()
            if not os.environ.get("ATC_TEST_LEAVE"):
                shutil.rmtree(directory)
