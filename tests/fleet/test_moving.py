"""A user moves, with rows in two tenants, while clients write and read: nothing is lost, and all see new rows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fleet.moving import OTHER, TENANTS, USER, Clients, World, judged, moving_world

pytestmark = pytest.mark.system
STEPS = ("warning", "+ volume", "+ machine", "~ atc.yml", "pushed", "- machine", "still has", "- volume")


@pytest.mark.parametrize("s3", [False, True], ids=["directory", "s3"])
def test_there_and_back(tmp_path: Path, s3: bool) -> None:
    """Two moves; each time the old machine goes with its disk."""
    with moving_world(tmp_path, s3=s3) as world:
        homes = [world.machine_of(USER)]
        with Clients(world) as clients:
            clients.wait_for()
            for region in ("ams", "iad"):
                assert world.apply("user", "move", USER, "--to", region) == 0
                homes.append(world.machine_of(USER))
                clients.wait_for()
        assert len(set(homes)) == 3
        is_as_it_should(world, clients, homes)


def test_back_before_the_old_machine_is_gone(tmp_path: Path) -> None:
    """It has its files still, and they are old: they are set aside, and what the other machine wrote is restored."""
    with moving_world(tmp_path) as world:
        old = world.machine_of(USER)
        with Clients(world) as clients:
            clients.wait_for()
            world.apply("user", "move", USER, "--to", "ams", grace=60, kill_at="pushed", after=1)
            assert (world.region_of(USER), len(world.machines())) == ("ams", 3)
            new = world.machine_of(USER)
            clients.wait_until(lambda each: each.who.endswith(new))
            assert world.apply("user", "move", USER, "--to", "iad") == 0
            clients.wait_for()
        assert world.machine_of(USER) == old
        is_as_it_should(world, clients, [old, new, old])
        volume = world.sim.machine(old).volume
        assert volume
        for tenant in TENANTS:
            assert list((volume / "tenants" / tenant.replace("/", ".")).glob(".stale-*")), tenant


def test_killed_anywhere_and_run_again(tmp_path: Path) -> None:
    """Move after move, each killed at another step, ends where one that was not killed ends."""
    rng = random.Random(5)
    with moving_world(tmp_path) as world:
        homes = [world.machine_of(USER)]
        with Clients(world, pause=0.1) as clients:
            clients.wait_for(2)
            for number, step in enumerate(STEPS):
                region = ("ams", "iad")[number % 2]
                # Who is killed while it holds a machine leaves a lease of two minutes.
                after = 0 if step == "- machine" else rng.uniform(0, 0.3)
                world.apply("user", "move", USER, "--to", region, kill_at=step, after=after)
                assert world.apply("user", "move", USER, "--to", region) == 0
                assert world.region_of(USER) == region
                homes.append(world.machine_of(USER))
                clients.wait_for(2)
        assert sum(each.endswith("killed") for each in world.said) > len(STEPS) / 2, world.said
        is_as_it_should(world, clients, homes)


def is_as_it_should(world: World, clients: Clients, homes: list[str]) -> None:
    """Nothing was lost, nobody saw anything wrong, and the user has one machine with one disk."""
    stays = world.machine_of(OTHER)
    found = judged(world, clients.seen, {USER: homes, OTHER: [stays]})
    print(found.gaps, found.refused, found.acknowledged)
    assert found.is_clean, found
    assert set(world.machines()) == {stays, homes[-1]}
    assert len(world.volumes()) == 2
    assert {world.rows(tenant)["integrity"] for tenant in TENANTS} == {"ok"}
