"""An nginx that does only what its configuration says: what others are compared with."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import children
from bench.running import answer, program
from bench.waiting import wait_until

_FRAME = """
{user}
daemon off;
worker_processes {workers};
pid {home}/nginx.pid;
error_log {home}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log {log};
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests {requests};
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
{rest}
}}
"""
BUFFERED = "{home}/access.log combined buffer=16k flush=1s"


@contextmanager
def bare(rest: str, port: int, home: Path, *, log: str = "off", requests: int = 1000) -> Iterator[list[int]]:
    """Run one with as many workers as atc has; `rest` are its upstreams and servers, one of which has the port."""
    text = _FRAME.format(
        user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",  # as atc has it
        workers=len(os.sched_getaffinity(0)),
        home=home,
        log=log.format(home=home),
        requests=requests,
        rest=rest,
    )
    file = home / "nginx.conf"
    file.write_text(text, encoding="ascii")
    with program(["nginx", "-c", str(file), "-e", f"{home}/error.log"], home / "log") as process:
        wait_until(lambda: bool(answer(port, "/")), "an answer of the bare nginx")
        yield children(process.pid)
