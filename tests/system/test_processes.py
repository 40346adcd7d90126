"""What is done to the processes of the machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from atcgen.system.processes import can_prefer, treat_as_others
from tests.system.running import Atc, wait_until

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not can_prefer(), reason="processes cannot be put behind others here"),
]
FAMILY = """
import os, threading
threading.Thread(target=threading.Event().wait).start()
os.fork()
os.write(1, b"up\\n")
threading.Event().wait()
"""


def test_threads_and_children_are_treated_as_others() -> None:
    """All of them: one left behind would have nothing when the machine is busy."""
    with subprocess.Popen(
        ["chrt", "-i", "0", sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(2)] == [b"up\n"] * 2
            child = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
            threads = [int(each) for parent in (process.pid, child) for each in os.listdir(f"/proc/{parent}/task")]
            assert [os.sched_getscheduler(each) for each in threads] == [os.SCHED_IDLE] * 3

            treat_as_others(process.pid)

            assert [os.sched_getscheduler(each) for each in threads] == [os.SCHED_OTHER] * 3
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_a_tenant_boots_behind_others_and_serves_among_them(atc: Atc) -> None:
    """From its first instruction until it answers."""
    pid = atc.pid("/a/x/")

    wait_until(lambda: os.sched_getscheduler(pid) == os.SCHED_OTHER)
    assert "command=chrt -i 0 /bin/sh" in (atc.home / ".atc/current/supervisor/programs.conf").read_text()
