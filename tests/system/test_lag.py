"""A store that falls behind is noticed, and how far each database is can be seen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.system.machines import TENANT, Settings, World, world
from tests.system.running import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
def copied() -> Iterator[World]:
    """Machine a has a tenant with a row that is in the store."""
    with world(Settings(lease="2m")) as made:
        made.a.start()
        assert made.a.add(1)
        wait_until(lambda: made.a.status()["copied_at"] > 0)
        yield made


def test_every_database_says_how_far_its_copy_is(copied: World) -> None:
    """In JSON, and for people with what the store holds."""

    def is_stored() -> bool:
        (found,) = copied.a.status()["databases"]
        return bool(found["txid"] and found["stored_txid"] == found["txid"])

    wait_until(is_stored)
    (found,) = copied.a.status()["databases"]
    assert found["name"] == "db.sqlite3"
    assert found["size"] > 4096
    assert 0 <= found["lag"] < 5
    assert found["error"] == ""

    detail = copied.a.atc.cli("status", TENANT).stdout
    assert detail.startswith(f"{TENANT}: ready, process {copied.a.pid()}\n")
    row = r"^db\.sqlite3 +[0-9.]+ KB +[0-9.]+ (KB|bytes) +([0-9]+) +\2 +[0-9.]+ s$"
    assert re.search(row, detail, re.MULTILINE), detail
    lags = [line for line in copied.a.atc.cli("metrics").stdout.splitlines() if line.startswith("atc_database_lag_")]
    assert [line.partition(" ")[0] for line in lags] == [
        f'atc_database_lag_seconds{{tenant="{TENANT}",database="db.sqlite3"}}'
    ]
    as_json = json.loads(copied.a.atc.cli("status", TENANT, "--json").stdout)
    assert as_json["stored"]["db.sqlite3"] > 0
    other = copied.a.atc.cli("status", "t/other", check=False)
    assert (other.returncode, "atc status lists them" in other.stderr) == (3, True)


def test_a_tenant_that_falls_behind_is_warned_of_once(copied: World) -> None:
    """In the log and in `atc status`; and once more when it has caught up."""
    with copied.outage():
        assert copied.a.add(2)
        wait_until(lambda: copied.a.log_has("replica.behind") > 0, 40)
        said = copied.a.atc.cli("status")
        assert re.search(rf"^warning: {TENANT}: the store is [0-9]+ s behind: \S+", said.stderr, re.MULTILINE)
        assert re.search(r" the store is [0-9]+ s behind *$", said.stdout, re.MULTILINE), said.stdout
        (found,) = copied.a.status()["databases"]
        assert found["lag"] > 10
        assert found["error"]
    wait_until(lambda: copied.a.log_has("replica.caught_up") > 0, 60)

    assert (copied.a.log_has("replica.behind"), copied.a.log_has("replica.caught_up")) == (1, 1)
    assert not copied.a.status()["is_behind"]
    assert not copied.a.atc.cli("status").stderr
