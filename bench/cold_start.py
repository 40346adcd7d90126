"""How much later the first answer of a sleeping tenant comes through atc than from the application alone.

The application is started directly, with the command and the environment of the plan, and asked every millisecond until
it answers; then the sleeping tenant is asked once through nginx. They take turns; figures are milliseconds.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from bench.figures import Figure
from bench.processes import descendants, end
from bench.running import APPS, Atc, Document, answer, atc, is_ok
from bench.waiting import wait_until

TENANTS = 12
BAR = 30.0
CALENDAR = Path(__file__).resolve().parent.parent / "examples/calendar"


def run() -> Iterator[Figure]:
    """The figures for a small application, and for the calendar where it is installed."""
    yield from _figures("small app", {"start": f"{sys.executable} {APPS / 'small.py'}", "env": {"LISTEN": "${socket}"}})
    if (CALENDAR / ".venv").is_dir():
        yield from _figures("calendar", calendar())


def calendar() -> Document:
    """The `app:` of the example."""
    return {
        "root": str(CALENDAR),
        "prepare": ".venv/bin/flask --app app db upgrade",
        "start": ".venv/bin/gunicorn --no-control-socket -c gunicorn.conf.py --bind unix:${socket} app:app",
        "health": "/up",
        "env": {"SCRIPT_NAME": "${tenant.path}", "DATABASE_PATH": "${database}", "SECRET_KEY": "${secret}"},
    }


def _figures(name: str, app: Document) -> Iterator[Figure]:
    document = {"app": app, "idle": "1s", "users": {"t": {"tenants": {f"n{each}": {} for each in range(TENANTS)}}}}
    with atc(document) as running:
        plan = json.loads((running.home / ".atc/current/plan.json").read_text(encoding="utf-8"))
        for tenant in plan["tenants"]:
            running.wake(tenant["location"])  # prepares it
        wait_until(lambda: not _awake(running, plan), "every tenant asleep")
        alone, through, above = [], [], []
        for tenant in plan["tenants"]:
            alone.append(_alone(tenant))
            through.append(_through(running, tenant["location"]))
            above.append(through[-1] - alone[-1])
    yield Figure("cold_start", f"{name}: started directly", median(alone), "ms")
    yield Figure("cold_start", f"{name}: woken by atc", median(through), "ms")
    yield Figure("cold_start", f"{name}: atc above the application", median(above), "ms", BAR)


def _awake(running: Atc, plan: dict[str, Any]) -> bool:
    return any(os.path.lexists(each["link"]) for each in plan["tenants"]) or any(
        f"{each['socket_directory']}/" in line
        for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
        for each in plan["tenants"]
    )


def _through(running: Atc, path: str) -> float:
    began = time.perf_counter()
    said = answer(running.port, path)
    took = time.perf_counter() - began
    if not is_ok(said):
        raise RuntimeError(f"{path} was answered with {said[:300]!r}")
    return took * 1000


def _alone(tenant: dict[str, Any]) -> float:
    """Start the tenant's command and ask it until it answers, in milliseconds."""
    path = f"{tenant['socket_directory']}/alone.sock"
    words = [each.replace("\0socket\0", path) for each in tenant["start"]]
    env = {**os.environ, **{key: value.replace("\0socket\0", path) for key, value in tenant["env"]}, "SOCKET": path}
    began = time.perf_counter()
    process = subprocess.Popen(
        words,
        cwd=tenant["root"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _asked(path, tenant["location"]):
            if process.poll() is not None or time.perf_counter() - began > 30:
                raise RuntimeError(f"{words} does not answer")
            time.sleep(0.001)
        return (time.perf_counter() - began) * 1000
    finally:
        end([process.pid, *descendants(process.pid)])
        process.wait()
        Path(path).unlink(missing_ok=True)


def _asked(socket_path: str, path: str) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(socket_path)
        sock.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        return bool(sock.recv(65_536))
    return False
