"""`atc fleet status` tells a machine that sleeps from one that was killed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from atcgen.fleet.reports import REPEATED, Report, write
from atcgen.system.store import open_store

SECRET = "known to all machines"
FILE = f"fleet: {{app: shows, secret: {SECRET}, config: file:./editions}}\nusers: {{}}\n"


def test_a_machine_that_says_nothing_any_more_is_silent(tmp_path: Path) -> None:
    (tmp_path / "atc.yml").write_text(FILE)
    (tmp_path / "editions").mkdir()
    store, now = open_store(f"file://{tmp_path}/editions", credentials={}), time.time()
    killed = now - 2 * REPEATED - 60

    async def reported() -> None:
        for name, awake, at in (("m1", True, now), ("m2", True, killed), ("m3", False, killed)):
            await write(store, Report(name, "sea", name, "", "0", 1, False, 0, "", at, awake, at), SECRET)

    asyncio.run(reported())
    words = [sys.executable, "-m", "atcgen", "fleet", "status"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    said = {line.split()[0]: line for line in done.stdout.splitlines()[1:]}
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(killed))
    assert " awake " in said["m1"]
    assert f" silent since {since} " in said["m2"]
    assert " asleep " in said["m3"]
