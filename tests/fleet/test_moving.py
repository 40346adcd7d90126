"""A user moves, with rows in two tenants, while clients write and read: nothing is lost, and nobody is asked in vain for
long.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleet.moving import OTHER, TENANTS, USER, Clients, judged, moving_world

pytestmark = pytest.mark.system


@pytest.mark.parametrize("s3", [False, True], ids=["directory", "s3"])
def test_there_and_back(tmp_path: Path, s3: bool) -> None:
    """Two moves; each time the old machine goes with its disk."""
    with moving_world(tmp_path, s3=s3) as world:
        stays, homes = world.machine_of(OTHER), [world.machine_of(USER)]
        with Clients(world) as clients:
            clients.wait_for()
            for region in ("ams", "iad"):
                assert world.apply("user", "move", USER, "--to", region) == 0, world.said
                homes.append(world.machine_of(USER))
                clients.wait_for()
        found = judged(world, clients.seen, {USER: homes, OTHER: [stays]})
        assert found.is_clean, found
        assert len(set(homes)) == 3
        assert set(world.machines()) == {stays, homes[-1]}
        assert len(world.volumes()) == 2
        for tenant in TENANTS:
            assert world.rows(tenant)["integrity"] == "ok"
        print(found.gaps, found.refused, found.acknowledged)
