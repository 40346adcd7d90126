"""How the agent learns whether an application has changed."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from atcgen.system import release
from atcgen.system.release import Releases
from tests.compiler.compiling import compiled

PLAN = compiled("users: {a: {tenants: {x: {app: {prepare: touch it}}}}}").plan.tenants[0]


def test_any_file_of_the_application_names_another_release(tmp_path: Path) -> None:
    """Even when nothing but a file was added; what the application writes as it runs is not looked at."""
    releases, plan = Releases(), replace(PLAN, root=str(tmp_path))

    async def stamps() -> list[str]:
        found = [await releases.stamp(plan)]
        for name in ("log", "migration.py"):
            (tmp_path / name).touch()
            found.append(await releases.stamp(plan))
        return found

    first, _, third = asyncio.run(stamps())
    assert first != third


def test_who_asks_at_once_shares_a_look_that_began_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty tenants that wake do not read the application twenty times, and none believes an older look."""
    begun = threading.Event()
    go_on = threading.Event()
    looks: list[Path] = []

    def look(root: Path, _: tuple[str, ...]) -> str:
        looks.append(root)
        begun.set()
        go_on.wait(10)
        return str(len(looks))

    monkeypatch.setattr(release, "_fingerprint", look)
    releases, plan = Releases(), replace(PLAN, root=str(tmp_path))

    async def ask() -> list[str]:
        asked = [asyncio.ensure_future(releases.stamp(plan))]
        await asyncio.to_thread(begun.wait, 10)
        asked += [asyncio.ensure_future(releases.stamp(plan)) for _ in range(19)]
        await asyncio.sleep(0)  # lets all of them ask
        go_on.set()
        return await asyncio.gather(*asked)

    first, *others = asyncio.run(ask())
    assert len(looks) == 2
    assert first not in others
    assert len(set(others)) == 1
