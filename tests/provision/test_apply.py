"""`atc fleet apply` against a Machines API: what it makes, what it waits for, what it refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from atcgen.errors import Unavailable
from atcgen.provision.edit import set_keys
from atcgen.provision.existing import Existing
from atcgen.system.fly import Fly, FlyError, Held, NoCapacity, open_fly
from simulator.running import Running
from simulator.unknowns import Unknowns
from tests.provision.world import CALM, PAUSE, World, simulation, world

ONE = "users: {bellevue: {region: iad, machine: {}, tenants: {2025/winter: {}}}}\n"
LEFT = {"bellevue": ("bellevue/2025/winter",)}


@pytest.fixture(scope="module")
def sim() -> Iterator[Running]:
    """One for all; each test has an app of its own."""
    with simulation() as started:
        yield started


@pytest.fixture
def one(sim: Running, tmp_path: Path, request: pytest.FixtureRequest) -> World:
    """An app without machines."""
    return world(sim, tmp_path / "world", f"app-{abs(hash(request.node.name))}")


def bellevue(one: World) -> str:
    """The machine that atc.yml names."""
    instance = one.draft().compile().config.users["bellevue"].instance
    assert instance
    return instance


def test_a_user_gets_a_machine_as_atc_yml_says(one: World) -> None:
    """On its volume, with the service that Fly Proxy needs, its owner in its metadata, and its id in atc.yml."""
    one.write("app: {start: x}\nserver: {http_port: 9000, kill_timeout: 30}\n" + ONE)
    one.apply()

    (machine,) = one.executor().fly.machines()
    config = machine["config"]
    service = config["services"][0]
    assert machine["id"] == bellevue(one)
    assert config["metadata"]["atc_user"] == "bellevue"
    assert config["metadata"]["atc_fleet"] == one.app
    assert config["image"] == "shows:1"
    assert (service["internal_port"], service["autostart"], service["autostop"]) == (9000, True, "off")
    assert service["min_machines_running"] == 0
    assert service["checks"][0]["path"] == "/up"
    assert {each["port"] for each in service["ports"]} == {80, 443}
    assert config["stop_config"] == {"signal": "SIGTERM", "timeout": "30s"}
    assert config["restart"]["policy"] == "on-failure"
    assert one.existing().volumes[0].machine == machine["id"]


def test_a_second_apply_does_nothing(one: World) -> None:
    """Not even a write of atc.yml."""
    one.write(ONE)
    one.apply()
    before = one.file.stat()

    assert one.executor().run() == 0
    assert (one.file.stat().st_mtime_ns, one.file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_what_a_hand_added_to_a_machine_stays(one: World) -> None:
    """Its environment, for instance; what atc.yml says is changed, and a machine that sleeps sleeps on."""
    one.write(ONE)
    one.apply()
    machine = one.sim.machine(bellevue(one))
    one.sim.do(lambda _: machine.configure({**machine.doc, "env": {"KEY": "value"}}))
    one.sim.stop(machine.id)
    one.file.write_text(one.file.read_text().replace("shows:1", "shows:2"))

    work = one.apply()

    assert work.failed == {}
    assert (machine.doc["image"], machine.doc["env"]) == ("shows:2", {"KEY": "value"})
    assert machine.state == "stopped"


def test_a_region_without_room_costs_nobody_else_anything(one: World) -> None:
    """The others get their machines; nothing is destroyed; the next time goes on, on the same disk."""
    one.write(ONE + "x-note: 1\n")
    one.apply()
    one.lease("bellevue/2025/winter", "somebody", held=False)
    users = (
        "users:\n"
        f"  bellevue: {{region: ams, machine: {{}}, instance: {bellevue(one)}, tenants: {{2025/winter: {{}}}}}}\n"
        "  boston: {region: lhr, machine: {}}\n"
    )
    one.write(users)
    one.sim.do(lambda fleet: fleet.flaps.capacity.update(ams=0))
    try:
        work = one.apply()
    finally:
        one.sim.do(lambda fleet: fleet.flaps.capacity.clear())

    assert isinstance(work.failed["user bellevue"], NoCapacity)
    assert sorted(each.region for each in one.existing().machines) == ["iad", "lhr"]
    assert one.draft().compile().config.users["boston"].instance
    assert one.apply().failed == {}
    assert sorted(each.region for each in one.existing().machines) == ["ams", "lhr"]
    assert len(one.existing().volumes) == 2


def test_a_machine_that_has_a_tenant_is_not_destroyed(one: World) -> None:
    """Nor its volume: it runs on, and the next apply looks again."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.lease("bellevue/2025/winter", machine, held=True)
    one.write("users: {}\n")
    one.former = LEFT

    work = one.apply(discards=True)

    assert "it still has bellevue/2025/winter" in str(work.failed[machine])
    assert one.sim.machine(machine).state == "started"
    assert len(one.existing().volumes) == 1
    one.lease("bellevue/2025/winter", machine, held=False)
    assert one.apply().failed == {}
    assert one.existing() == Existing()


def test_what_was_never_copied_is_destroyed_only_when_that_is_said(one: World) -> None:
    """As a move without copies would lose it."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.file.write_text(one.file.read_text().replace("region: iad", "region: ams"))

    work = one.apply()

    assert "nothing of bellevue/2025/winter was ever copied" in str(work.failed[machine])
    assert len(one.existing().machines) == 2
    assert one.apply(discards=True).failed == {}
    assert [each.region for each in one.existing().machines] == ["ams"]


def test_who_left_atc_yml_loses_nothing_that_was_never_copied(one: World) -> None:
    """Nobody visited the tenant, or its machine ran before there was a store: machine and volume stay."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.write("users: {}\n")

    unknown = one.apply().failed[machine]
    one.former = LEFT
    known = one.apply().failed[machine]

    assert "nothing says which tenants bellevue had" in str(unknown)
    assert "nothing of bellevue/2025/winter was ever copied" in str(known)
    assert "--discard-data" in known.hint
    assert (len(one.existing().machines), len(one.existing().volumes)) == (1, 1)
    one.former = {}
    assert one.apply(discards=True).failed == {}
    assert one.existing() == Existing()


def test_a_move_waits_until_the_old_machine_gave_its_tenants_back(one: World) -> None:
    """atc.yml says the new place first; a machine that sleeps is woken to read that."""
    one.write(ONE)
    one.apply()
    old = bellevue(one)
    one.lease("bellevue/2025/winter", old, held=True)
    one.sim.stop(old)
    seen: list[str] = []

    def settle() -> None:
        one.sim.wait_state(old, "started")
        seen.append(bellevue(one))
        one.lease("bellevue/2025/winter", old, held=False)

    settling = threading.Thread(target=settle)
    settling.start()
    draft = one.draft()
    draft.edits.append(partial(set_keys, path=("users", "bellevue"), values={"region": "ams"}))
    work = one.apply(draft=draft, patience=30)
    settling.join()

    assert work.failed == {}
    assert seen == [bellevue(one)]
    assert seen != [old]
    assert [each.id for each in one.existing().machines] == seen
    assert one.draft().compile().config.users["bellevue"].region == "ams"


def test_a_machine_that_does_not_start_is_not_routed_to(one: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays for a look; atc.yml names it when it started after all."""
    monkeypatch.setattr("atcgen.provision.executor._START", 0.3)
    one.write(ONE)
    slow = partial(lambda seconds: one.sim.do(lambda fleet: _boot(fleet, seconds)))
    slow(5.0)
    try:
        work = one.apply()
    finally:
        slow(0.0)

    assert "did not start" in str(work.failed["user bellevue"])
    assert one.draft().compile().config.users["bellevue"].instance is None
    monkeypatch.setattr("atcgen.provision.executor._START", 30)
    assert one.apply().failed == {}
    assert len(one.existing().machines) == 1
    assert bellevue(one) == one.existing().machines[0].id


def _boot(fleet: Any, seconds: float) -> None:
    from dataclasses import replace

    fleet.setting.tempo = replace(fleet.setting.tempo, boot=seconds)


def test_a_lease_of_somebody_else_is_waited_for(one: World) -> None:
    """As the one that an apply left behind that was killed."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.file.write_text(one.file.read_text().replace("shows:1", "shows:2"))
    one.sim.do(lambda fleet: fleet.flaps.leases.take(machine, "", 0.5, "another"))

    assert one.apply().failed == {}
    assert one.sim.machine(machine).doc["image"] == "shows:2"


def test_an_edit_of_somebody_else_meanwhile_stays(one: World) -> None:
    """The file is read again before it is written."""
    one.write(ONE)
    draft = one.draft()
    draft.wanted()
    one.file.write_text(one.file.read_text() + "idle: 7m # mine\n")
    one.apply(draft=draft)

    assert "idle: 7m # mine\n" in one.file.read_text()
    assert bellevue(one)


def test_rate_limits_are_waited_for(tmp_path: Path) -> None:
    """Five users at once; the API takes one action per second, and three in a row."""
    from dataclasses import replace

    users = "".join(f"  u{each}: {{region: iad, machine: {{}}}}\n" for each in range(5))
    with simulation(unknowns=replace(CALM, rate_limits=True)) as sim:
        one = world(sim, tmp_path / "w")
        one.write(f"users:\n{users}")
        work = one.executor()
        work.fly._pause = work.pause = lambda seconds: one.sim_pause(min(seconds, 1))
        work.run()

        assert work.failed == {}
        assert len(one.existing().machines) == 5
        assert 429 in {each.status for each in sim.fleet.flaps.calls.seen}
    assert Unknowns().rate_limits


# the client


def client(one: World, token: str = "") -> Fly:
    """With no patience."""
    return Fly(one.app, token or one.sim.token, one.sim.api, pause=lambda _: one.sim_pause(PAUSE))


def test_where_the_api_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says, or the public one, or the one inside."""
    environ = {"FLY_API_TOKEN": " t \n"}

    assert open_fly("a", environ)._base == "https://api.machines.dev/v1/apps/a"
    assert open_fly("a", {**environ, "FLY_MACHINE_ID": "1"})._base == "http://_api.internal:4280/v1/apps/a"
    assert open_fly("a", {**environ, "FLY_FLAPS_BASE_URL": "http://x:1/"})._base == "http://x:1/v1/apps/a"
    with pytest.raises(Unavailable, match="FLY_API_TOKEN"):
        open_fly("a", {})
    with pytest.raises(Unavailable, match="which app"):
        open_fly("", environ)


def test_a_token_is_never_printed(one: World) -> None:
    """Not even a wrong one, and not one that no header can hold."""
    with pytest.raises(FlyError) as refused:
        client(one, "secret-token").machines()
    with pytest.raises(Unavailable) as odd:
        open_fly("a", {"FLY_API_TOKEN": "secret\ntoken"})
    with pytest.raises(FlyError) as nobody:
        Fly("a", "secret-token", "http://127.0.0.1:9", pause=lambda _: None).machines()

    said = [str(each.value) + each.value.hint + repr(each.value) for each in (refused, odd, nobody)]
    assert "secret" not in "".join(said)
    assert "cannot be reached" in said[2]
    assert "FLY_API_TOKEN" in said[0]


def test_a_netrc_does_not_replace_the_token(one: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As requests would let it."""
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert client(one).machines() == []


def test_an_app_that_is_not_there_is_said(sim: Running) -> None:
    """With what to do."""
    with pytest.raises(Unavailable, match="no app 'nowhere'") as said:
        Fly("nowhere", sim.token, sim.api).machines()
    assert said.value.hint == "fly apps create nowhere"


def test_waiting_ends(one: World) -> None:
    """For a state that does not come."""
    one.write(ONE)
    one.apply()

    assert not client(one).wait(bellevue(one), "stopped", one.existing().machines[0].version, 0.3)


def test_a_lease_that_is_held_for_long_is_given_up(one: World) -> None:
    """With words for people."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.sim.do(lambda fleet: fleet.flaps.leases.take(machine, "", 60, "another"))

    with pytest.raises(Held, match="lease currently held"), client(one).lease(machine, 5, patience=0.1):
        pass


def test_a_machine_that_takes_a_tenant_again_meanwhile_stays(one: World) -> None:
    """Between the first look at the store and the stop."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.lease("bellevue/2025/winter", machine, held=False)
    one.write("users: {}\n")
    one.former = LEFT
    work = one.executor()
    stop = work.fly.stop

    def late(machine: str, lease: str, seconds: int) -> None:
        one.lease("bellevue/2025/winter", machine, held=True)
        stop(machine, lease, seconds)

    with patch.object(work.fly, "stop", late):
        work.run()

    assert "it still has bellevue/2025/winter" in str(work.failed[machine])
    assert one.existing().machine(machine)
    assert len(one.existing().volumes) == 1


def test_a_machine_that_a_request_starts_meanwhile_stays(one: World) -> None:
    """It is not destroyed by force: the API refuses."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.lease("bellevue/2025/winter", machine, held=False)
    one.write("users: {}\n")
    one.former = LEFT
    work = one.executor()
    destroy = work.fly.destroy

    def late(machine: str, lease: str) -> None:
        one.sim.start(machine)
        destroy(machine, lease)

    with patch.object(work.fly, "destroy", late):
        work.run()

    assert "started" in str(work.failed[machine])
    assert one.existing().machine(machine)


def test_a_shared_machine_stays_while_its_users_have_no_other(one: World) -> None:
    """The region that they move to has no room."""
    one.write("users: {raleigh: {region: lhr}}\n")
    one.apply()
    one.write("users: {raleigh: {region: ams}}\n")
    one.sim.do(lambda fleet: fleet.flaps.capacity.update(ams=0))
    try:
        work = one.apply()
    finally:
        one.sim.do(lambda fleet: fleet.flaps.capacity.clear())

    assert list(work.failed) == ["region ams"]
    assert [each.region for each in one.existing().machines] == ["lhr"]


def test_a_machine_that_a_request_started_once_is_stopped_again(one: World) -> None:
    """Visitors of its region come while it stops; its tenants are elsewhere."""
    one.write(ONE)
    one.apply()
    machine = bellevue(one)
    one.lease("bellevue/2025/winter", machine, held=False)
    one.write("users: {}\n")
    one.former = LEFT
    work = one.executor()
    destroy, late = work.fly.destroy, iter([True])

    def once(machine: str, lease: str) -> None:
        if next(late, False):
            one.sim.start(machine)
        destroy(machine, lease)

    with patch.object(work.fly, "destroy", once):
        work.run()

    assert work.failed == {}
    assert one.existing().machines == ()
    assert any("a request started" in each for each in one.said)
