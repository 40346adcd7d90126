"""Whatever kills `atc fleet apply`, and whenever: the next one ends with the same fleet, and nothing is left over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atcgen.provision.draft import Draft
from atcgen.provision.edit import set_keys
from simulator.api.calls import Injection
from simulator.running import Running
from tests.provision.world import Fuse, Killed, World, simulation, world

TWO = """\
users:
  bellevue: {region: iad, machine: {volume: 2GB}, tenants: {2025/winter: {}}}
  raleigh: {region: lhr, tenants: {2025/disney: {}}}
"""


@dataclass(frozen=True)
class Change:
    """From one fleet to another."""

    name: str
    replaced: tuple[tuple[str, str], ...] = ()  # in atc.yml
    move: str = ""  # bellevue goes there

    def prepare(self, one: World) -> None:
        """The fleet before; all its tenants were given back."""
        one.write(TWO)
        if self.name == "from nothing":
            return
        one.apply()
        for tenant in ("bellevue/2025/winter", "raleigh/2025/disney"):
            one.lease(tenant, "somebody", held=False)
        text = one.file.read_text()
        for old, new in self.replaced:
            assert old in text
            text = text.replace(old, new)
        one.file.write_text(text)

    def draft(self, one: World, fuse: Fuse) -> Draft:
        """What is typed each time."""
        draft = one.draft(fuse)
        if self.move and draft.compile().config.users["bellevue"].region != self.move:
            draft.edits.append(partial(set_keys, path=("users", "bellevue"), values={"region": self.move}))
        return draft

    def run(self, one: World, fuse: Fuse) -> dict[str, str]:
        """Apply; what was not done."""
        work = one.apply(fuse, self.draft(one, fuse))
        return {key: str(problem) for key, problem in work.failed.items()}


CHANGES = (
    Change("from nothing"),
    Change("larger", (("machine: {image: 'shows:1'}", "machine: {image: 'shows:2', memory: 512MB, volume: 3GB}"),)),
    Change("a region is left", (("region: lhr", "region: ams"),)),
    Change("a move", move="ams"),
)


@pytest.fixture
def sim() -> Iterator[Running]:
    """Each run has an app of its own."""
    with simulation() as started:
        yield started


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: str(each.name))
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_call_and_run_again(sim: Running, tmp_path: Path, change: Change, when: str) -> None:
    """Every call to the API, and every write of atc.yml, in turn."""
    name = change.name.replace(" ", "-") + when
    whole = world(sim, tmp_path / "whole", f"{name}-whole")
    change.prepare(whole)
    counted = Fuse()
    assert change.run(whole, counted) == {}
    wanted = whole.shape()
    assert counted.calls > 5

    for number in range(1, counted.calls + 1):
        one = world(sim, tmp_path / str(number), f"{name}-{number}")
        change.prepare(one)
        fuse = Fuse(number, when)
        with pytest.raises(Killed):
            change.run(one, fuse)

        assert change.run(one, Fuse()) == {}, one.said
        assert one.shape() == wanted, (number, one.said)
        assert one.executor().run() == 0, number


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: str(each.name))
@pytest.mark.parametrize("when", ["before", "after"])
def test_any_call_may_fail_without_saying_what_it_did(sim: Running, tmp_path: Path, change: Change, when: Any) -> None:
    """The connection closes, or the API answers 500 or 408, before or after the effect: the same run goes on."""
    name = f"{change.name.replace(' ', '-')}-{when}"
    whole = world(sim, tmp_path / "whole", f"{name}-whole")
    change.prepare(whole)
    sim.do(lambda fleet: fleet.flaps.calls.reset())
    assert change.run(whole, Fuse()) == {}
    calls, wanted = len(sim.fleet.flaps.calls.seen), whole.shape()

    for number in range(1, calls + 1):
        one = world(sim, tmp_path / str(number), f"{name}-{number}")
        change.prepare(one)
        sim.do(lambda fleet: fleet.flaps.calls.reset())
        sim.inject(Injection(number, when, (0, 500, 408)[number % 3]))
        assert change.run(one, Fuse()) == {}, (number, one.said)
        sim.do(lambda fleet: fleet.flaps.calls.reset())

        assert one.shape() == wanted, (number, one.said)
