"""Run the programs that are measured, in a directory of their own below /tmp, and end them again."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import children, descendants, end
from bench.waiting import wait_until

APPS = Path(__file__).resolve().parent / "apps"
Document = dict[str, Any]


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory that is gone afterwards; its name is short, for the kernel's limit on socket paths."""
    home = Path(tempfile.mkdtemp(prefix="atcb-", dir="/tmp"))
    try:
        yield home
    finally:
        shutil.rmtree(home)


def answer(port: int, path: str, method: str = "GET", *, timeout: float = 30) -> bytes:
    """The whole answer to a request on a connection of its own, head and body; b'' when nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout) as sock:
            sock.sendall(f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".encode())
            return b"".join(iter(lambda: sock.recv(65_536), b""))
    except OSError:
        return b""


def is_ok(said: bytes) -> bool:
    """Is an answer a 200?"""
    return said[9:12] == b"200"


@contextmanager
def program(words: list[str], log: Path, *, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child process; it and everything it started is killed afterwards, the parents first."""
    with open(log, "ab") as said:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=env)
    try:
        yield process
    finally:
        end([process.pid, *descendants(process.pid)])
        process.wait()


@dataclass
class Atc:
    """A running atc."""

    home: Path
    port: int
    pid: int
    document: Document = field(repr=False)

    @property
    def nginx(self) -> int:
        """The master of nginx."""
        return int((self.home / ".atc/run/nginx.pid").read_text(encoding="ascii"))

    def workers(self) -> list[int]:
        """The workers of nginx."""
        return children(self.nginx)

    def wake(self, path: str) -> None:
        """Have a tenant up."""
        wait_until(lambda: is_ok(answer(self.port, path)), f"a 200 from {path}")

    def edit(self, change: Callable[[Document], object]) -> None:
        """Edit atc.yml as editors do: write beside, rename over."""
        change(self.document)
        fresh = self.home / "atc.yml.new"
        fresh.write_text(json.dumps(self.document), encoding="utf-8")
        fresh.replace(self.home / "atc.yml")


@contextmanager
def atc(document: Document, *, region: str = "") -> Iterator[Atc]:
    """Run atc with an atc.yml, on a free port of the loopback interface; in a region, if there are others."""
    port = free_port()
    document = document | {"server": {"http_port": port, "bind": "127.0.0.1"} | document.get("server", {})}
    with scratch() as home:
        (home / "atc.yml").write_text(json.dumps(document), encoding="utf-8")
        log = home / "log"
        words = [sys.executable, "-m", "atcgen", "run", "-c", str(home / "atc.yml")]
        env = os.environ | ({"ATC_REGION": region} if region else {})
        with program(words, log, env=env) as process:

            def is_up() -> bool:
                if process.poll() is not None:
                    raise RuntimeError(log.read_text(encoding="utf-8"))
                return is_ok(answer(port, "/up"))

            wait_until(is_up, "an answer of nginx")
            yield Atc(home, port, process.pid, document)
