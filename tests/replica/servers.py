"""Real S3 servers on loopback: moto for conditional writes, rclone for credentials."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BIN = Path(sys.executable).parent
RCLONE = BIN / "rclone"
BUCKET = "databases"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testkeyid", "AWS_SECRET_ACCESS_KEY": "testsecret"}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def without_aws() -> dict[str, str]:
    """The environment for a child process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@contextmanager
def moto(log: Path) -> Iterator[str]:
    """The endpoint of a server that does conditional writes and lets everybody in, with a bucket."""
    port = free_port()
    with _serving([BIN / "moto_server", "-H", "127.0.0.1", "-p", str(port)], port, log):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("PUT", f"/{BUCKET}")
        assert connection.getresponse().status == 200
        connection.close()
        yield f"http://127.0.0.1:{port}"


@contextmanager
def rclone(data: Path, log: Path) -> Iterator[str]:
    """The endpoint of a server that knows who may come in, but ignores conditions; with a bucket."""
    (data / BUCKET).mkdir(parents=True)
    port, key = free_port(), ",".join(CREDENTIALS.values())
    words: list[str | Path] = [RCLONE, "serve", "s3", "--auth-key", key, "--addr", f"127.0.0.1:{port}", data]
    with _serving(words, port, log):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _serving(words: list[str | Path], port: int, log: Path) -> Iterator[None]:
    with open(log, "wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output, env=without_aws())
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True
