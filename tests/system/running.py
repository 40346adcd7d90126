"""A running atc for tests: its own directory, its own port, ended by the pid it was started with."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import Plan, load

APPLICATION = Path(__file__).with_name("application.py")
TWO_TENANTS = "idle: 1h\nusers: {a: {tenants: {x: {}, y: {}}}}\n"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@dataclass
class Atc:
    """A running atc."""

    port: int
    home: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def in_background(self, path: str) -> Callable[[], Answer]:
        """A request that goes on; what is returned waits for its answer."""
        answers: list[Answer] = []
        thread = threading.Thread(target=lambda: answers.append(self.ask(path)), daemon=True)
        thread.start()

        def answer() -> Answer:
            thread.join(30)
            return answers[0]

        return answer

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        answer = self.ask(path)
        return answer.status, answer.text

    def pid(self, path: str) -> int:
        """The process that answers a tenant's front page."""
        answer = self.ask(path)
        assert answer.status == 200, answer
        return int(answer.text.split()[1])

    def starts(self, tenant: str = "") -> int:
        """How often a tenant, or any, was started."""
        lines = (self.home / "starts").read_text().splitlines() if (self.home / "starts").exists() else []
        return sum(not tenant or line.split()[0] == tenant for line in lines)

    def notes(self) -> list[str]:
        """What every POST left behind."""
        file = self.home / "notes"
        return file.read_text().splitlines() if file.exists() else []

    def cli(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """The atc command, in the directory of atc.yml."""
        return subprocess.run(
            [sys.executable, "-m", "atcgen", *words], cwd=self.home, capture_output=True, text=True, check=check
        )

    def cli_in_background(self, *words: str) -> subprocess.Popen[bytes]:
        """The same, and go on meanwhile."""
        return subprocess.Popen([sys.executable, "-m", "atcgen", *words], cwd=self.home)

    def programs(self) -> str:
        """What supervisord says of all its programs."""
        return self._supervisorctl("status")

    def status(self) -> dict[str, Any]:
        """`atc status --json`."""
        said: dict[str, Any] = json.loads(self.cli("status", "--json").stdout)
        return said

    def plan(self) -> Plan:
        """What is in force."""
        return load((self.home / ".atc/current/plan.json").read_text())

    def state(self, tenant: str) -> str:
        """The state of one tenant."""
        return str(next(each["state"] for each in self.status()["tenants"] if each["id"] == tenant))

    def log(self) -> str:
        """What the agent said."""
        file = self.home / ".atc/logs/agent.log"
        return file.read_text() if file.exists() else ""

    def edit(self, old: str, new: str) -> None:
        """Edit atc.yml as editors do: write beside, rename over."""
        text = (self.home / "atc.yml").read_text()
        assert old in text
        self.write(text.replace(old, new))

    def write(self, text: str) -> None:
        """Replace atc.yml."""
        fresh = self.home / "atc.yml.new"
        fresh.write_text(text)
        fresh.replace(self.home / "atc.yml")

    def pid_of(self, program: str) -> int:
        """The process of one of atc's own programs: atc-nginx, or atc-agent:0."""
        return int(self._supervisorctl("pid", program))

    def _supervisorctl(self, *words: str) -> str:
        configuration = self.home / ".atc/current/supervisor/supervisord.conf"
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(configuration), *words]
        # `status` ends with another status when something does not run.
        return subprocess.run(command, capture_output=True, text=True, check=words[0] == "pid").stdout


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Poll a condition until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody else is given meanwhile.

    It matters because nginx shares its port with whoever else wants to share it: two tests would answer for each other.
    """
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        for each in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # from now on, for nginx
            sock.setsockopt(socket.SOL_SOCKET, each, 1)
        port: int = sock.getsockname()[1]
        yield port


def base_config(home: Path, port: int, server: str, arguments: str) -> str:
    """server and app of a test's atc.yml."""
    return _server(port, server) + _app(home, arguments)


def _server(port: int, server: str) -> str:
    return f"server: {{http_port: {port}, bind: 127.0.0.1, {server}}}\n"


def _app(home: Path, arguments: str) -> str:
    return (
        f"app:\n  root: {APPLICATION.parent}\n  start: {sys.executable} application.py {arguments}\n"
        f"  env: {{OWNER: '${{tenant.id}}', STARTS: {home}/starts, NOTES: {home}/notes}}\n"
    )


@contextmanager
def running(
    text: str = TWO_TENANTS,
    *,
    server: str = "",
    arguments: str = "${socket}",
    words: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
    app: str = "",
) -> Iterator[Atc]:
    """atc, serving what `text` adds to the base configuration; '' for no file at all.

    `server` adds keys to the section of that name, `arguments` are what the application is started with. `app` is
    another application: the section, where `%s` stands for the directory of atc.yml.
    """
    home = Path(tempfile.mkdtemp(prefix="atc-"))  # short, for the kernel's limit on socket paths
    if "user:" in app:
        home.chmod(0o755)
    port = free_port()
    if text:
        (home / "atc.yml").write_text(
            _server(port, server) + (app.replace("%s", str(home)) or _app(home, arguments)) + text
        )
    more = {key: value.format(port=port, home=home) for key, value in (environ or {}).items()}
    try:
        with _serving(home, port, words, more) as atc:
            yield atc
    finally:
        if not os.environ.get("ATC_TEST_LEAVE"):
            shutil.rmtree(home)


@contextmanager
def serving_file(write: Callable[[int], str]) -> Iterator[Atc]:
    """atc, serving a whole atc.yml, which `write` makes for a port."""
    home = Path(tempfile.mkdtemp(prefix="atc-"))
    port = free_port()
    (home / "atc.yml").write_text(write(port))
    try:
        with _serving(home, port, (), {}) as atc:
            yield atc
    finally:
        if not os.environ.get("ATC_TEST_LEAVE"):
            shutil.rmtree(home)


@contextmanager
def serving(home: Path, **environ: str) -> Iterator[Atc]:
    """`atc run` in the directory of an application that has an atc.yml, on a port of its own."""
    port = free_port()
    state = ("--state", str(home / ".atc"))
    with _serving(home, port, state, {"HTTP_PORT": str(port), "ATC_BIND": "127.0.0.1", **environ}) as atc:
        yield atc


@contextmanager
def again(atc: Atc) -> Iterator[Atc]:
    """`atc run` once more, where one was that has ended."""
    with _serving(atc.home, atc.port, (), {}) as second:
        yield second


@contextmanager
def _serving(home: Path, port: int, words: tuple[str, ...], environ: Mapping[str, str]) -> Iterator[Atc]:
    said = home / ".log" if (home / "log").is_dir() else home / "log"  # Rails has a directory of that name
    with open(said, "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "atcgen", "run", *words],
            cwd=home,
            stdout=log,
            stderr=log,
            env={**os.environ, **environ},
        )
    atc = Atc(port, home, process)
    begun = atc.log().count("agent.ready")

    def is_up() -> bool:
        assert process.poll() is None, said.read_text()
        try:
            atc.ask("/up")
        except OSError:
            return False
        return atc.log().count("agent.ready") > begun

    try:
        wait_until(is_up)
        yield atc
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
