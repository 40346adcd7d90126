"""A tenant's commands without atc: in a copy of the release, with the words and the environment of the plan."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from atcgen.compiler.interpolate import ROOT_MARK, SOCKET_MARK
from atcgen.compiler.plan import TenantPlan
from bench.processes import descendants, end
from bench.running import is_ok

LONGEST = 120  # seconds


def prepare(tenant: TenantPlan, root: Path) -> float:
    """How long its `prepare` takes, in milliseconds."""
    words, env = _said(tenant, tenant.prepare, root, "")
    Path(tenant.directory).mkdir(parents=True, exist_ok=True)
    for each in (*tenant.private.directories, *tenant.files) if tenant.private else ():
        (root / each).mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    said = subprocess.run(words, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = time.perf_counter() - began
    if said.returncode:
        raise RuntimeError(f"{words}: {said.stdout!r} {said.stderr!r}")
    return took * 1000


def boot(tenant: TenantPlan, root: Path) -> float:
    """From its start to the first 200 of its front page, asked for every millisecond; milliseconds."""
    path = f"{root}.sock"
    words, env = _said(tenant, tenant.start, root, path)
    page = "/" if tenant.strips else tenant.location
    began = time.perf_counter()
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, cwd=root, env=env, stdin=quiet, stdout=quiet, stderr=quiet)
    try:
        while not is_ok(_asked(path, page)):
            if process.poll() is not None or time.perf_counter() - began > LONGEST:
                raise RuntimeError(f"{words} does not answer {page} with a 200")
            time.sleep(0.001)
        return (time.perf_counter() - began) * 1000
    finally:
        end([process.pid, *descendants(process.pid)])
        process.wait()
        Path(path).unlink(missing_ok=True)


def _said(tenant: TenantPlan, words: tuple[str, ...], root: Path, at: str) -> tuple[list[str], dict[str, str]]:
    def put(text: str) -> str:
        return text.replace(SOCKET_MARK, at).replace(ROOT_MARK, str(root))

    return [put(each) for each in words], {**os.environ, **{key: put(value) for key, value in tenant.env}, "SOCKET": at}


def _asked(at: str, page: str) -> bytes:
    with suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(at)
        sock.sendall(f"GET {page} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        return sock.recv(65_536)
    return b""
