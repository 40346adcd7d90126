"""`atc backup` and `atc tenant`, as an owner uses them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atcgen.replica.custodian import Custodian
from atcgen.replica.drill import Drill, drill
from atcgen.replica.renewal import Processes
from atcgen.replica.site import site, vault
from atcgen.system.agent import ask
from atcgen.system.supervisor import Supervisor
from tests.system.machine import PATH, PROGRAM, TENANT
from tests.system.machines import World, world
from tests.system.running import wait_until

pytestmark = pytest.mark.system

NOBODY = Processes(kill=lambda _: None, halt=lambda: None, go_on=lambda: None)

OTHER = "t/y"


@pytest.fixture
def pair() -> Iterator[World]:
    """Two machines that share a store; a runs, and knows a second tenant."""
    with world() as made:
        for each in (made.a, made.b):
            file = each.home / "atc.yml"
            file.write_text(file.read_text().replace("{x: {}}", "{x: {}, y: {}}"))
        made.a.start()
        yield made


def rows(file: Path) -> list[int]:
    """What a ledger's file has."""
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        return [each for (each,) in database.execute("SELECT id FROM entries ORDER BY id")]


def two_rows(pair: World) -> str:
    """Write one row, and another one later; a time between."""
    assert pair.a.add(1)
    pair.wait_until_published()
    wait_until(lambda: pair.a.status()["copied_at"] > time.time() - 1)
    between = later()
    assert pair.a.add(2)
    return between


def later() -> str:
    """A time well after what was written until now, and well before what is written next: copies take a moment."""
    began = time.time()
    wait_until(lambda: time.time() > began + 2.4)
    return datetime.fromtimestamp(began + 1.2, UTC).isoformat()


def test_an_earlier_state_is_restored_to_a_directory(pair: World, tmp_path: Path) -> None:
    """To the second; while the tenant runs, which notices nothing."""
    between = two_rows(pair)
    pair.a.stop()
    wait_until(pair.is_released)

    pair.a.atc.cli("backup", "restore", TENANT, "--to", str(tmp_path / "now"))
    pair.a.atc.cli("backup", "restore", TENANT, "--at", between, "--to", str(tmp_path / "then"))

    assert rows(tmp_path / "now/db.sqlite3") == [1, 2]
    assert rows(tmp_path / "then/db.sqlite3") == [1]


def test_an_earlier_state_takes_the_place_of_the_present(pair: World, tmp_path: Path) -> None:
    """The tenant goes on from there, on any machine; the present can be restored as well."""
    between = two_rows(pair)
    now = later()

    pair.a.atc.cli("backup", "restore", TENANT, "--at", between, "--in-place")

    assert pair.a.rows()["rows"] == [1]
    assert pair.a.add(3)
    pair.a.stop()
    wait_until(pair.is_released)
    pair.a.atc.cli("backup", "restore", TENANT, "--at", now, "--to", str(tmp_path))
    assert rows(tmp_path / "db.sqlite3") == [1, 2]
    pair.b.start()
    assert pair.b.rows()["rows"] == [1, 3]


def test_a_copy_becomes_another_tenant(pair: World) -> None:
    """With databases of its own from then on; not where there are some."""
    two_rows(pair)
    pair.a.stop()
    wait_until(pair.is_released)

    pair.a.atc.cli("backup", "restore", TENANT, "--as", OTHER)

    status, said = pair.a.asked(f"/{OTHER}/rows")
    assert (status, json.loads(said)["rows"]) == (200, [1, 2])
    assert pair.a.add(3)
    assert json.loads(pair.a.asked(f"/{OTHER}/rows")[1])["rows"] == [1, 2]
    refused = pair.a.atc.cli("backup", "restore", TENANT, "--as", OTHER, check=False)
    assert (refused.returncode, "has databases already" in refused.stderr) == (3, True)


def test_a_database_of_elsewhere_is_adopted(pair: World, tmp_path: Path) -> None:
    """Even while somebody uses it; what is no database is not."""
    two_rows(pair)
    with closing(sqlite3.connect(pair.a.data / "db.sqlite3")) as used:
        assert used.execute("SELECT count(*) FROM entries").fetchone() == (2,)
        pair.a.atc.cli("backup", "adopt", OTHER, str(pair.a.data / "db.sqlite3"))

    assert json.loads(pair.a.asked(f"/{OTHER}/rows")[1])["rows"] == [1, 2]
    (tmp_path / "text").write_text("no database, and longer than a header of one would be" * 10)
    (tmp_path / "text").rename(tmp_path / "db.sqlite3")
    refused = pair.a.atc.cli("backup", "adopt", TENANT, str(tmp_path / "db.sqlite3"), check=False)
    assert refused.returncode == 3


def test_what_can_be_restored_is_listed_and_verified(pair: World) -> None:
    """And a damaged copy is said to be one."""
    two_rows(pair)
    pair.a.stop()
    wait_until(pair.is_released)

    said = json.loads(pair.a.atc.cli("backup", "list", TENANT, "--json").stdout)
    assert [each["path"] for each in said["past"]] == [pair.lease()["path"]]
    assert json.loads(pair.a.atc.cli("backup", "verify", TENANT, "--json").stdout) == {"db.sqlite3": "ok"}

    for each in pair.copies_of_some_change():
        each.write_bytes(each.read_bytes()[:-8])
    assert pair.a.atc.cli("backup", "verify", TENANT, check=False).returncode == 3


def test_a_database_that_the_copy_has_not_is_said_to_be_missing(pair: World) -> None:
    """By its name, in the order of atc.yml; a start would refuse as well."""
    file = pair.a.home / "atc.yml"
    file.write_text(file.read_text().replace("  env:", "  databases: [queue.sqlite3, db.sqlite3]\n  env:"))
    text = file.read_text().replace("${database}", f"{pair.a.data}/db.sqlite3")
    pair.a.atc.write(text)
    pair.a.data.mkdir(parents=True, exist_ok=True)
    for name in ("queue.sqlite3", "db.sqlite3"):
        with closing(sqlite3.connect(pair.a.data / name)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS jobs (id INTEGER)")
    wait_until(lambda: [each["name"] for each in pair.a.status()["databases"]] == ["queue.sqlite3", "db.sqlite3"])
    assert pair.a.add(1)
    pair.wait_until_published()
    pair.a.stop()
    wait_until(pair.is_released)
    both = json.loads(pair.a.atc.cli("backup", "verify", TENANT, "--json").stdout)
    assert list(both.items()) == [("queue.sqlite3", "ok"), ("db.sqlite3", "ok")]

    shutil.rmtree(pair.store / f"tenants/{PROGRAM}" / pair.lease()["path"] / "queue.sqlite3")

    said = pair.a.atc.cli("backup", "verify", TENANT, check=False)
    path = pair.lease()["path"]
    assert (said.returncode, said.stdout) == (
        3,
        f"queue.sqlite3: is missing in {path} of the store\ndb.sqlite3: ok\n",
    )


def test_nothing_is_restored_as_a_tenant_that_has_copies(pair: World, tmp_path: Path) -> None:
    """Though nothing of it is here; nor is anything adopted."""
    two_rows(pair)
    other = pair.a.data.with_name("t.y")
    assert pair.a.asked(f"/{OTHER}/rows")[0] == 200
    lease = pair.store / "tenants/t.y/lease.json"
    wait_until(lambda: json.loads(lease.read_text())["path"])
    for each in (TENANT, OTHER):
        assert ask(pair.a.home / ".atc", "POST", "/stop", each)[0] == 200
    wait_until(lambda: pair.is_released() and not json.loads(lease.read_text())["held"])
    shutil.copy(pair.a.data / "db.sqlite3", tmp_path / "copy")
    shutil.rmtree(other)

    for lost in (False, True):
        if lost:
            lease.unlink()
        for words in (("restore", TENANT, "--as", OTHER), ("adopt", OTHER, str(tmp_path / "copy"))):
            refused = pair.a.atc.cli("backup", *words, check=False)
            said = "the store has copies of it" if lost else "has copies in the store already"
            assert (refused.returncode, said in refused.stderr) == (3, True), refused.stderr
            assert not other.exists()


def test_a_transaction_of_a_tenant_that_runs_is_restored(pair: World, tmp_path: Path) -> None:
    """A moment is one transaction or one time, and has been."""
    two_rows(pair)
    wait_until(lambda: pair.a.status()["copied_at"] > time.time() - 1)

    pair.a.atc.cli("backup", "restore", TENANT, "--txid", "1", "--to", str(tmp_path / "then"))
    with closing(sqlite3.connect(tmp_path / "then/db.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"

    for where in (("--to", str(tmp_path / "new")), ("--as", OTHER), ("--in-place",)):
        future = pair.a.atc.cli("backup", "restore", TENANT, "--at", "2999-01-01T00:00:00", *where, check=False)
        assert (future.returncode, "is in the future" in future.stderr) == (2, True)
        both = ("--at", "2026-01-01T00:00:00", "--txid", "1")
        two = pair.a.atc.cli("backup", "restore", TENANT, *both, *where, check=False)
        assert (two.returncode, "one of --at and --txid" in two.stderr) == (2, True)


def test_a_lease_that_is_lost_is_no_empty_tenant(pair: World) -> None:
    """Nothing starts, and nothing is made, until somebody says which copy is the truth."""
    two_rows(pair)
    pair.a.stop()
    wait_until(pair.is_released)
    path = pair.lease()["path"]
    lease = pair.store / f"tenants/{PROGRAM}/lease.json"
    lease.unlink()
    pair.b.start()

    assert pair.b.asked(PATH)[0] == 503
    assert f"the store has copies of it ({path}) and no lease" in pair.b.status()["reason"]
    assert not lease.exists()
    assert pair.b.atc.cli("backup", "verify", TENANT, check=False).returncode == 3

    pair.b.atc.cli("backup", "reinstate", TENANT, path)
    assert pair.b.rows()["rows"] == [1, 2]
    pair.b.stop()
    wait_until(pair.is_released)
    assert pair.a.rows()["rows"] == [1, 2]


def test_a_deleted_tenant_can_be_taken_back(pair: World) -> None:
    """It does not start meanwhile, and has everything afterwards."""
    two_rows(pair)
    file = pair.a.home / "atc.yml"
    text = file.read_text()
    refused = pair.a.atc.cli("tenant", "delete", TENANT, check=False)
    assert (refused.returncode, "is in atc.yml" in refused.stderr) == (3, True)
    pair.a.atc.write(text.replace("x: {}, ", ""))
    wait_until(lambda: all(each["id"] != TENANT for each in pair.a.atc.status()["tenants"]))

    pair.a.atc.cli("tenant", "delete", TENANT)
    pair.a.atc.write(text)
    wait_until(lambda: pair.a.asked(f"/{TENANT}/")[0] == 503)
    assert "was deleted" in pair.a.status()["reason"]

    pair.a.atc.cli("tenant", "restore", TENANT)
    assert pair.a.rows()["rows"] == [1, 2]


def test_a_restore_on_trial_compares_what_is_at_rest(pair: World, tmp_path: Path) -> None:
    """And says so when the copy is not what is here."""
    two_rows(pair)
    pair.a.stop()
    wait_until(pair.is_released)
    plan = pair.a.atc.plan()
    result = tmp_path / "drill.json"

    async def tried() -> Drill:
        tasks = asyncio.get_running_loop().create_task
        here = site(plan.store, pair.a.home / ".atc", Supervisor("/nowhere"), {}, tasks)
        return await drill(vault(plan.store, {}), Custodian(plan.tenants[0], here, NOBODY), result, tmp_path)

    found = asyncio.run(tried())
    assert (found.tenant, found.problem, found.compared) == (TENANT, "", True)
    assert Drill.read(result) == found

    with closing(sqlite3.connect(pair.a.data / "db.sqlite3")) as database:
        database.execute("DELETE FROM entries WHERE id = 1")
        database.commit()
    assert "differs from its copy" in asyncio.run(tried()).problem
