"""A request comes to a machine that does not know yet that its tenant is there: it asks the store before it answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from atcgen.fleet.history import History, written
from atcgen.system.store import open_store
from tests.fleet.machines import Shows, said, shows
from tests.system.running import wait_until

pytestmark = pytest.mark.system
PLACES = {"aa000000000001": "iad", "aa000000000002": "ams"}
FLEETS = {"fly": "address: ADDRESS, replay: {timeout: 20s}", "proxy": "target: proxy, hosts: HOSTS"}


@pytest.mark.parametrize("target", FLEETS)
def test_who_was_told_nothing_looks_before_it_refuses(tmp_path: Path, target: str) -> None:
    (tmp_path / "store").mkdir()
    place = f"file://{tmp_path}/store"
    text = f"fleet: {{secret: all, config: '{place}', poll: 0, {FLEETS[target]}}}\n"
    text += "users:\n  a: {region: iad, tenants: {x: {}}}\n  b: {region: ams, tenants: {y: {}}}\n"
    with shows(text, PLACES, tmp_path, target=target) as fleet:
        for door in fleet.doors:
            wait_until(lambda door=door: fleet.is_up(door), 60)  # type: ignore[misc]
            assert said(fleet.ask(door, "/a/x/")) == "a/x"
            assert said(fleet.ask(door, "/b/y/")) == "b/y"
        before, after = fleet.file.read_text(), fleet.file.read_text().replace("a: {region: iad", "a: {region: ams")
        assert before != after
        history = History(open_store(place, credentials={}), "all")
        asyncio.run(pushed(history, after))
        edit_one(fleet, "aa000000000001", after)
        answers: list[str] = []

        def has_moved() -> bool:
            answers.append(said(fleet.ask("iad", "/a/x/", timeout=60)))
            return moved(fleet)

        wait_until(has_moved, 60)
        assert set(answers) == {"a/x"}
        assert fleet.ask("iad", "/nobody/").status == 404


async def pushed(history: History, text: str) -> None:
    """Somebody pushed it, and told nobody."""
    await history.add(written(text, "ann", ""), await history.newest())


def edit_one(fleet: Shows, name: str, text: str) -> None:
    """Only one machine has it."""
    volume = fleet.fly.machine(name).volume
    assert volume
    (volume / "atc.yml").write_text(text)


def moved(fleet: Shows) -> bool:
    """Does the other machine have the tenant now?"""
    volume = fleet.fly.machine("aa000000000002").volume
    assert volume
    return (volume / "tenants/a.x").is_dir()
