"""The whole thing: real nginx, supervisord, agent and tenants that have databases of their own."""

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
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.system

APPLICATION = """
import http.server, os, socketserver, sys, sqlite3
class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def address_string(self): return "-"
    def do_GET(self):
        body = f"{os.environ['OWNER']} {os.getpid()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
with open(os.environ["STARTS"], "a") as starts:
    starts.write(f"{os.getpid()}\\n")
Server(os.environ["SOCKET"], Handler).serve_forever()
"""


@dataclass
class Atc:
    """A running atc."""

    port: int
    home: Path

    def get(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    def starts(self) -> int:
        file = self.home / "starts"
        return len(file.read_text().splitlines()) if file.exists() else 0


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Poll a condition until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def atc() -> Iterator[Atc]:
    """Two tenants that sleep after two seconds."""
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not installed")
    home = Path(tempfile.mkdtemp(prefix="atc-"))  # short, for the kernel's limit on socket paths
    (home / "app.py").write_text(APPLICATION)
    port = free_port()
    (home / "atc.yml").write_text(
        f"server: {{http_port: {port}, bind: 127.0.0.1}}\n"
        f"app:\n  start: {sys.executable} app.py\n"
        "  env: {OWNER: '${tenant.id}', LISTEN: '${socket}', STARTS: " + str(home / "starts") + "}\n"
        "idle: 2s\nusers: {a: {tenants: {x: {}, y: {}}}}\n"
    )
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "atcgen", "run", "-c", home / "atc.yml"], stdout=log, stderr=log
        )
    running = Atc(port, home)

    def is_up() -> bool:
        assert process.poll() is None, (home / "log").read_text()
        try:
            return running.get("/up")[0] == 200
        except OSError:
            return False

    try:
        wait_until(is_up)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if not os.environ.get("ATC_TEST_LEAVE"):
            shutil.rmtree(home)


def test_two_hundred_requests_to_a_cold_tenant_make_one_start(atc: Atc) -> None:
    """Everybody waits for the same start and everybody is answered."""
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: atc.get("/a/x/"), range(200)))

    assert {200} == {status for status, _ in answers}
    assert atc.starts() == 1


def test_an_idle_tenant_sleeps_and_wakes(atc: Atc) -> None:
    """After the idle time the process is gone; the next request starts another one."""
    _, first = atc.get("/a/x/")
    pid = int(first.split()[1])

    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    status, second = atc.get("/a/x/")

    assert (status, second.split()[0]) == (200, "a/x")
    assert int(second.split()[1]) != pid


def test_a_killed_process_is_replaced_by_the_next_request(atc: Atc) -> None:
    """Nobody sees a 502 because a process died between two requests."""
    _, first = atc.get("/a/x/")
    os.kill(int(first.split()[1]), signal.SIGKILL)

    status, second = atc.get("/a/x/")

    assert status == 200
    assert second != first


def test_a_path_of_nobody_is_not_its_parents(atc: Atc) -> None:
    """What no tenant owns is a 404, and the slash-less form of a tenant keeps its query."""
    assert atc.get("/a/z/")[0] == 404
    assert atc.get("/a/xy")[0] == 404
    assert atc.get("/a/x?q=1")[0] == 308


def edit(atc: Atc, old: str, new: str) -> None:
    """Edit atc.yml as editors do: write beside, rename over."""
    file = atc.home / "atc.yml"
    fresh = atc.home / "atc.yml.new"
    fresh.write_text(file.read_text().replace(old, new))
    fresh.replace(file)


def test_edits_are_live_and_touch_only_what_changed(atc: Atc) -> None:
    """A tenant that is added answers, one that is removed is a 404, and a neighbour keeps its process."""
    _, before = atc.get("/a/x/")

    edit(atc, "y: {}", "z: {pin: true}")
    wait_until(lambda: atc.get("/a/z/")[0] == 200)
    wait_until(lambda: atc.get("/a/y/")[0] == 404)
    _, after = atc.get("/a/x/")

    assert before == after


def test_a_changed_environment_restarts_the_tenant_without_loss(atc: Atc) -> None:
    """The new value is served, and no request in between fails."""
    atc.get("/a/x/")

    edit(atc, "'${tenant.id}'", "'changed-${tenant.id}'")
    answers: list[tuple[int, str]] = []

    def has_changed() -> bool:
        answers.append(atc.get("/a/x/"))
        return answers[-1][1].startswith("changed-a/x")

    wait_until(has_changed)

    assert {200} == {status for status, _ in answers}


def test_a_bad_edit_changes_nothing(atc: Atc) -> None:
    """The generation before it runs on."""
    _, before = atc.get("/a/x/")

    edit(atc, "users:", "usrs:")
    wait_until(lambda: "unknown key 'usrs'" in (atc.home / ".atc/logs/agent.log").read_text())

    assert (200, before) == atc.get("/a/x/")


def test_status_tells_the_state_of_every_tenant(atc: Atc) -> None:
    """`atc status --json` shows who is awake."""
    atc.get("/a/x/")

    words = [sys.executable, "-m", "atcgen", "status", "--json", "--state", str(atc.home / ".atc")]
    said = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)

    assert {"a/x": "ready", "a/y": "stopped"} == {each["id"]: each["state"] for each in said["tenants"]}
