"""A fleet from a file, and one in a program that is asynchronous."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from pydantic import ValidationError

from simulator.description import read_fleet
from simulator.fleet import Fleet
from simulator.init import descendants
from tests.docs.pages import ROOT, blocks
from tests.simulator.fleets import PORT, ROUTER, TARGET, fleet_spec, machine, wait_until


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_file_is_run_until_a_signal_comes(tmp_path: Path, number: signal.Signals) -> None:
    """That of the page, on free ports; nothing is left, however it ends."""
    (block,) = blocks("yaml fleet")
    file = tmp_path / "fleet.yml"
    file.write_text(block.text.replace("8443", "0").replace("9001", str(PORT)), encoding="utf-8")
    words = [sys.executable, "-m", "simulator", str(file)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(8)]
        pids = descendants(process.pid)
        found = re.search(r"edge iad port 443 +(http://\S+)", "".join(said))
        assert found
        with urllib.request.urlopen(found[1], timeout=30) as answer:
            assert b"Directory listing" in answer.read()
        process.send_signal(number)
        process.wait(30)
    wait_until(lambda: not any(map(_is_running, pids)), "the end of all machines")
    assert [line.split()[0] for line in said] == ["edge", "edge", "api", "service", "dns", "dns", "machine", "machine"]
    home = Path(said[-1].split()[-1]).parents[1]
    assert home.exists() is (number == signal.SIGKILL)
    shutil.rmtree(home, ignore_errors=True)
    assert process.returncode == (0 if number == signal.SIGTERM else -number)
    assert pids


def test_a_file_that_is_wrong_is_refused(tmp_path: Path) -> None:
    """Before anything runs."""
    for text in ("machines: [{app: x, region: iad}]", "unknowns: {what: 1}", "apps: [{name: a, colour: red}]", "[]"):
        with pytest.raises(ValidationError):
            read_fleet(text)
    done = subprocess.run(
        [sys.executable, "-m", "simulator", str(tmp_path / "none.yml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "none.yml" in done.stderr) == (2, True)


def test_a_fleet_runs_in_an_asynchronous_program() -> None:
    """And leaves nothing behind."""

    async def work() -> tuple[str, list[int], str]:
        async with Fleet(fleet_spec(machine("router", ROUTER), machine("target", TARGET))) as fleet:
            pids = fleet.machine(TARGET).pids
            await fleet.suspend(TARGET)
            url = fleet.edge("iad").url
            with await asyncio.to_thread(urllib.request.urlopen, url, None, 30) as answer:
                assert answer.status == 200
            return str(fleet.machine(TARGET).state), pids, str(fleet.home)

    state, pids, home = asyncio.run(work())
    assert (state, len(pids)) == ("suspended", 1)
    assert not any(map(_is_running, pids))
    assert not os.path.exists(home)
