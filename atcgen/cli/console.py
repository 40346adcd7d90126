"""What `atc run` prints: a table of tenants once they can be reached, then what happens to them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from atcgen.cli.control import print_tenants
from atcgen.compiler.plan import Plan, load
from atcgen.errors import Unavailable
from atcgen.system.agent import ask
from atcgen.system.logs import PREPARE_LOG_SLOTS

_PATIENCE = 60.0


def show(home: Path, parent: int) -> None:
    """Print the table, then become `tail` on the logs until process `parent` ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for supervisord; what it does then is still shown
    plan = load((home / "current/plan.json").read_text(encoding="utf-8"))
    agent_log = Path(plan.paths.logs, "agent.log")
    begin = agent_log.stat().st_size if agent_log.exists() else 0
    follow = ["tail", "-q", "--follow=name", "--retry", f"--pid={parent}", "--sleep-interval=0.2"]
    alone = _logs_of_a_lone_tenant(plan)
    if alone:
        for each in alone:
            Path(each).touch()
        subprocess.Popen([*follow, "--lines=0", *alone])
    tenants = _wait(home, parent)
    print_tenants(tenants, lambda each: _url(plan, each))
    os.execvp("tail", [*follow, f"--bytes=+{begin + 1}", str(agent_log)])


def _wait(home: Path, parent: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            tenants: list[dict[str, Any]] = ask(home, "GET", "/status")[1]["tenants"]
            return tenants
        except Unavailable:
            if time.monotonic() > deadline or os.getppid() != parent:
                raise
            time.sleep(0.02)


def _url(plan: Plan, tenant: dict[str, Any]) -> str:
    address, _, port = plan.server.listen[0].rpartition(":")
    host = tenant["host"] or ("localhost" if address in ("0.0.0.0", "127.0.0.1", "[::]") else address)
    return f"http://{host}{'' if port == '80' else f':{port}'}{tenant['path']}"


def _logs_of_a_lone_tenant(plan: Plan) -> list[str]:
    """Who runs one application in a container expects to see what it says, and who asked it what."""
    if len(plan.tenants) != 1 or plan.tenants[0].path or plan.tenants[0].host:
        return []
    alone = plan.tenants[0]
    return [f"{alone.log}.{slot}.log" for slot in PREPARE_LOG_SLOTS] + [alone.access_log]
