"""Real nginx for the compiler's tests: is a configuration accepted, and what does it answer."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from atcgen.compiler import Compiled
from atcgen.system.generations import activate, store

_PATIENCE = 10.0


@dataclass(frozen=True)
class Answer:
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    body: bytes


def require_nginx() -> None:
    """Skip where nginx is not installed, and fail where it has to be."""
    if shutil.which("nginx") is None:
        if os.environ.get("CI"):
            pytest.fail("nginx is not installed")
        pytest.skip("nginx is not installed")


@contextmanager
def directory() -> Iterator[Path]:
    """A directory whose name is short enough for sockets, which a test may enter once per example."""
    path = Path(tempfile.mkdtemp(prefix="atc-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def written(compiled: Compiled) -> Path:
    """Store a generation with the directories it needs; its main file for nginx."""
    state = Path(compiled.plan.paths.state)
    for each in ("run", "logs/access", "logs/tenants", "tmp"):
        (state / each).mkdir(parents=True, exist_ok=True)
    activate(state, store(state, compiled.files))
    return state / "current/nginx/nginx.conf"


def refusal(configuration: Path, error_log: Path) -> str:
    """What `nginx -t` has against a configuration; nothing when it accepts it."""
    words = ["nginx", "-t", "-q", "-c", str(configuration), "-e", str(error_log)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


@contextmanager
def serving(configuration: Path, error_log: Path, listens: Path) -> Iterator[None]:
    """Run nginx until the test is through; `listens` is one of its unix sockets."""
    words = ["nginx", "-c", str(configuration), "-e", str(error_log), "-g", "master_process off;"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _PATIENCE
        while not _answers(listens):
            assert process.poll() is None, error_log.read_text()
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.005)
        yield
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket in place of a port."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def ask(connection: http.client.HTTPConnection, path: str, host: str = "localhost") -> Answer:
    """Make a request."""
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    body = answer.read()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def free_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
