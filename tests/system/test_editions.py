"""Machines that follow a store run what was pushed there, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from atcgen.fleet.editions import Edition, sealed
from atcgen.fleet.told import HEADER, PATH, word
from atcgen.system.store import open_store
from tests.replica import servers
from tests.system.fleets import SECRET, Fleet, edition_of, fleet, shared
from tests.system.machine import Machine
from tests.system.running import wait_until

pytestmark = pytest.mark.system


@pytest.fixture
def one() -> Iterator[Fleet]:
    """One machine that runs, with the tenant a/x and no edition yet."""
    with fleet(1) as found:
        (machine,) = found.machines
        (machine.home / "atc.yml").write_text(found.text("x"))
        machine.start()
        yield found


def answers(machine: Machine, tenant: str) -> bool:
    """Does it serve a tenant of user `a`?"""
    return machine.asked(f"/a/{tenant}/")[0] == 200


def forge(found: Fleet, number: int, text: str, secret: str = "guessed") -> None:
    """An edition of who can write to the store and does not know the secret."""
    file = found.edition(number)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(sealed(Edition(number, text, "mallory", "2026-01-01T00:00:00+00:00", "", number - 1), secret))


def tell(machine: Machine, said: str | None, method: str = "POST") -> int:
    """What comes back."""
    headers = {} if said is None else {HEADER: said}
    return requests.request(method, f"http://127.0.0.1:{machine.port}{PATH}", headers=headers, timeout=30).status_code


def test_a_push_reaches_three_machines_and_one_that_sleeps() -> None:
    """At once where they are awake, before it serves where one starts; and everybody can see it."""
    with fleet(4) as found:
        for each in found.machines:
            (each.home / "atc.yml").write_text(found.text("x"))
        awake, sleeper = found.machines[:3], found.machines[3]
        for each in found.machines:
            each.launch()
        for each in found.machines:
            each.ready()
        wait_until(lambda: all(found.report(each).get("awake") for each in found.machines))
        sleeper.end()
        assert found.report(sleeper)["awake"] is False
        ann = found.person("ann", found.text("x", "y"))

        begun = time.monotonic()
        said = ann.done("push", "-m", "a second one")

        assert "edition 1: pushed\ntold 3 of 3 machines that are awake; 1 asleep\n" in said
        wait_until(lambda: all(edition_of(each) == 1 for each in awake))
        assert time.monotonic() - begun < 60
        assert all(answers(each, "y") for each in awake)
        assert all((each.home / "atc.yml").read_text() == ann.file.read_text() for each in awake)
        sleeper.start()
        assert answers(sleeper, "y")
        assert "atc.yml is edition 1 now" in (sleeper.home / "log").read_text()
        wait_until(lambda: all(found.report(each).get("runs") == 1 for each in found.machines))
        status = json.loads(ann.done("fleet", "status", "--json"))
        assert status["wanted"] == 1
        assert [(each["machine"], each["runs"], each["awake"]) for each in status["machines"]] == [
            (f"m{index}", 1, True) for index in range(4)
        ]


def test_one_that_does_not_compile_here_leaves_the_old_one(one: Fleet) -> None:
    """It is reported with its number and why; the next one is taken, and a restart in between does no harm."""
    (machine,) = one.machines
    ann = one.person("ann", one.text("x"))
    ann.done("push")
    wait_until(lambda: edition_of(machine) == 1)
    absent = one.directory / "absent"
    ann.file.write_text(one.text("x", "y", more=f"x-note: 1\nroutes: [{{endpoint: z, app: {{root: {absent}}}}}]\n"))

    ann.done("push")

    wait_until(lambda: one.report(machine).get("refused") == 2)
    assert "is no directory of this machine" in one.report(machine)["why"]
    assert "atc.yml:" in one.report(machine)["why"]
    assert one.report(machine)["runs"] == 1
    assert not answers(machine, "y")
    assert answers(machine, "x")
    assert (machine.home / "atc.yml").read_text() == one.text("x")
    assert "edition 2 is not run" in machine.atc.cli("status").stdout
    assert "2 refused" in ann.done("fleet", "status")
    machine.end()
    machine.start()
    assert answers(machine, "x")
    assert "edition 2 does not compile here" in (machine.home / "log").read_text()
    ann.done("rollback", "1")
    wait_until(lambda: edition_of(machine) == 3)
    wait_until(lambda: one.report(machine).get("refused") == 0)


def test_of_two_who_push_the_second_one_merges(one: Fleet) -> None:
    """He is shown both changes, and nothing is lost."""
    (machine,) = one.machines
    ann, bob = one.person("ann", one.text("x")), one.person("bob", one.text("x"))
    ann.done("push")
    bob.done("pull")
    ann.file.write_text(one.text("x", "y"))
    bob.file.write_text(one.text("x").replace("idle: 1h", "idle: 2h"))
    ann.done("push", "-m", "y")

    refused = bob.atc("push")

    assert refused.returncode == 1
    assert "was made from edition 1, and there is edition 2" in refused.stderr
    assert "-users: {a: {tenants: {x: {}}}}\n+users: {a: {tenants: {x: {}, y: {}}}}" in refused.stderr
    assert "-idle: 1h\n+idle: 2h" in refused.stderr
    assert "hint: atc pull --merge" in refused.stderr
    assert not one.edition(3).exists()
    assert bob.atc("pull").returncode == 1
    assert "idle: 2h" in bob.file.read_text()
    # Both changed lines that stand beside each other: bob is asked.
    assert bob.atc("pull", "--merge").returncode == 1
    assert "y: {}" not in bob.file.read_text()
    bob.file.write_text(one.text("x").replace("hold: 20s", "hold: 21s"))
    bob.done("pull", "--merge")
    bob.done("push", "-m", "longer")
    wait_until(lambda: edition_of(machine) == 3)
    text = (machine.home / "atc.yml").read_text()
    assert "hold: 21s" in text
    assert answers(machine, "y")
    history = json.loads(bob.done("history", "--json"))
    assert [(each["number"], each["parent"], each["message"]) for each in history] == [
        (3, 2, "longer"),
        (2, 1, "y"),
        (1, 0, ""),
    ]


def test_a_rollback_is_a_new_edition(one: Fleet) -> None:
    """With the old text."""
    (machine,) = one.machines
    ann = one.person("ann", one.text("x"))
    ann.done("push")
    ann.push("x", "y", store=one.store)
    wait_until(lambda: edition_of(machine) == 2)

    ann.done("rollback", "1")

    wait_until(lambda: edition_of(machine) == 3)
    assert not answers(machine, "y")
    assert ann.file.read_text() == one.text("x")
    assert "as edition 1" in ann.done("history")
    assert "says the same already" in ann.done("push")


def test_nothing_is_taken_that_is_not_signed_or_old(one: Fleet) -> None:
    """Forged ones, unsigned ones, an old one under a higher number; and then a real one is."""
    (machine,) = one.machines
    ann = one.person("ann", one.text("x"))
    ann.done("push")
    ann.push("x", "y", store=one.store)
    wait_until(lambda: edition_of(machine) == 2)

    forge(one, 3, one.text("x", "evil"))
    one.edition(4).write_text(one.text("x", "evil"))
    one.edition(5).write_bytes(one.edition(1).read_bytes())

    assert tell(machine, word(5, SECRET, time.time())) == 204
    wait_until(lambda: shared(machine)["refused"] == 5)
    assert edition_of(machine) == 2
    assert answers(machine, "y")
    assert not answers(machine, "evil")
    assert "edition 5 is not to be trusted: it is edition 1 under" in ann.atc("fleet", "status").stderr
    ann.push("x", "z", store=one.store)
    wait_until(lambda: edition_of(machine) == 6)
    assert answers(machine, "z")
    assert not answers(machine, "evil")


def test_an_older_edition_is_not_taken_when_the_newest_is_gone(one: Fleet) -> None:
    """Who can only delete cannot turn a machine back."""
    (machine,) = one.machines
    ann = one.person("ann", one.text("x"))
    ann.done("push")
    ann.push("x", "y", store=one.store)
    wait_until(lambda: edition_of(machine) == 2)
    one.edition(2).unlink()

    tell(machine, word(9, SECRET, time.time()))
    machine.end()
    machine.start()

    wait_until(lambda: edition_of(machine) == 2)
    assert answers(machine, "y")


@pytest.mark.parametrize(
    "said", [None, "", "1 9999999999 " + "0" * 64, word(1, "guessed", time.time() + 60), word(1, SECRET, 1000)]
)
def test_who_does_not_know_the_secret_is_not_heard(one: Fleet, said: str | None) -> None:
    """403, and the store is not asked."""
    (machine,) = one.machines
    assert tell(machine, said) == 403
    assert tell(machine, word(1, SECRET, time.time()), "GET") == 403
    assert edition_of(machine) == 0


def test_a_store_that_is_away_and_comes_back(one: Fleet) -> None:
    """What runs goes on, also through a restart; and it goes on asking."""
    (machine,) = one.machines
    ann = one.person("ann", one.text("x", poll="1s"))
    ann.done("push")
    wait_until(lambda: one.report(machine).get("runs") == 1)
    with one.outage():
        wait_until(lambda: "does not exist" in shared(machine)["problem"])
        machine.end()
        machine.start()
        assert "there may be a newer edition" in (machine.home / "log").read_text()
        wait_until(lambda: edition_of(machine) == 1)
        assert answers(machine, "x")
        assert ann.atc("push").returncode == 3
    ann.file.write_text(one.text("x", "y", poll="1s"))
    for each in (one.store / "fleet/machines").iterdir():
        each.unlink()  # nobody is told
    ann.done("push")
    wait_until(lambda: edition_of(machine) == 2)
    assert answers(machine, "y")


def test_an_edit_on_a_machine_lasts_until_the_next_edition(one: Fleet) -> None:
    """It is said to be one, survives a restart, and is kept aside in the end."""
    (machine,) = one.machines
    ann = one.person("ann", one.text("x"))
    ann.done("push")
    wait_until(lambda: edition_of(machine) == 1)

    machine.atc.write(one.text("x", "here"))

    wait_until(lambda: bool(one.report(machine).get("edited")))
    assert answers(machine, "here")
    assert "1, edited here" in ann.done("fleet", "status")
    machine.end()
    machine.start()
    assert answers(machine, "here")
    ann.push("x", "y", store=one.store)
    wait_until(lambda: edition_of(machine) == 2)
    assert not answers(machine, "here")
    (kept,) = (machine.home / ".atc/replaced").iterdir()
    assert kept.read_text() == one.text("x", "here")
    wait_until(lambda: not one.report(machine).get("edited"))


def test_an_image_with_an_old_file_starts_with_the_newest_edition(one: Fleet) -> None:
    """Even while the store is away."""
    (machine,) = one.machines
    image = (machine.home / "atc.yml").read_text()
    ann = one.person("ann", one.text("x", "y"))
    ann.done("push")
    wait_until(lambda: one.report(machine).get("runs") == 1)
    machine.end()
    (machine.home / "atc.yml").write_text(image)

    with one.outage():
        machine.start()
        assert answers(machine, "y")
    wait_until(lambda: edition_of(machine) == 1)


def test_a_machine_that_stood_still_asks_at_once(one: Fleet) -> None:
    """It was not told."""
    (machine,) = one.machines
    ann = one.person("ann", one.text("x"))
    agent = machine.atc.pid_of("atc-agent:0")
    ann.done("push")
    wait_until(lambda: one.report(machine).get("runs") == 1)
    ann.file.write_text(one.text("x", "y"))
    os.kill(agent, signal.SIGSTOP)
    try:
        for each in (one.store / "fleet/machines").iterdir():
            each.unlink()
        ann.done("push")
    finally:
        os.kill(agent, signal.SIGCONT)

    wait_until(lambda: edition_of(machine) == 2)
    assert answers(machine, "y")


def test_a_push_with_errors_pushes_nothing(one: Fleet) -> None:
    """All of them are shown; a variable that only machines have is none."""
    ann = one.person("ann", one.text("x") + "usrs: {}\nserer: {}\n")

    said = ann.atc("push")

    assert said.returncode == 1
    assert "atc.yml:9:1: error: unknown key 'usrs'" in said.stderr
    assert "atc.yml:10:1: error: unknown key 'serer'" in said.stderr
    assert said.stderr.endswith("nothing was pushed\n")
    assert not one.edition(1).exists()
    ann.file.write_text(one.text("x").replace("env: {", "env: {KEY: '${ENV:ONLY_THERE}', "))
    pushed = ann.atc("push")
    assert pushed.returncode == 0, pushed.stderr
    assert "warning: app.env.KEY: the environment variable ONLY_THERE is not set here" in pushed.stderr


def test_a_bucket_is_a_store_as_well(tmp_path: Path) -> None:
    """Of S3, from pushing to reporting; and the application gets neither its keys nor the secret."""
    with servers.moto(tmp_path / "log") as endpoint, fleet(1) as found:
        (machine,) = found.machines
        machine.environ = {**machine.environ, **servers.CREDENTIALS}
        text = found.text("x").replace(f"file://{found.store}", f"s3://{servers.BUCKET}/calendars")
        text += f"storage: {{endpoint: '{endpoint}'}}\n"
        (machine.home / "atc.yml").write_text(text)
        machine.start()
        ann = found.person("ann", text.replace("x: {}", "x: {}, y: {}"))

        said = ann.atc("push", **servers.CREDENTIALS)

        assert said.returncode == 0, said.stderr
        wait_until(lambda: edition_of(machine) == 1)
        assert answers(machine, "y")
        environ = Path(f"/proc/{machine.asked('/a/y/')[1].split()[1]}/environ").read_bytes()
        assert b"FLEET_SECRET" not in environ
        assert servers.CREDENTIALS["AWS_SECRET_ACCESS_KEY"].encode() not in environ
        forged = sealed(Edition(2, text, "mallory", "", "", 1), "guessed")
        store = open_store(f"s3://{servers.BUCKET}/calendars", endpoint=endpoint, credentials=servers.CREDENTIALS)
        asyncio.run(store.create("fleet/config/000002.json", forged))
        assert tell(machine, word(2, SECRET, time.time())) == 204
        wait_until(lambda: shared(machine)["refused"] == 2)
        ann.file.write_text(text)
        assert ann.atc("push", **servers.CREDENTIALS).returncode == 0
        wait_until(lambda: edition_of(machine) == 3)
        wait_until(lambda: '"runs": 3' in ann.atc("fleet", "status", "--json", **servers.CREDENTIALS).stdout)


def test_it_says_what_to_set() -> None:
    """A store, and a secret."""
    with fleet(0) as found:
        nowhere = found.person("nowhere", "fleet: {secret: x}\n").atc("push")
        unsigned = found.person("unsigned", "storage: {replica: 'file:./copies'}\n").atc("push")

    assert (nowhere.returncode, unsigned.returncode) == (3, 3)
    assert "hint: set fleet.config" in nowhere.stderr
    assert "hint: set fleet.secret" in unsigned.stderr


def test_a_file_with_errors_at_the_start_gives_way_to_the_edition_that_ran(one: Fleet) -> None:
    """It is kept aside, and the log says what was wrong with it."""
    (machine,) = one.machines
    one.person("ann", one.text("x", "y")).done("push")
    wait_until(lambda: edition_of(machine) == 1)
    machine.end()
    broken = one.text("x").replace("idle: 1h", "idel: 1h")
    (machine.home / "atc.yml").write_text(broken)
    machine.start()
    assert answers(machine, "y")
    assert (machine.home / "atc.yml").read_text() == one.text("x", "y")
    assert [each.read_text() for each in (machine.home / ".atc/replaced").iterdir()].count(broken) == 1
    assert "idel" in (machine.home / "log").read_text()


def test_a_new_machine_whose_file_has_errors_takes_the_newest_edition(one: Fleet) -> None:
    """It says at least which store has it."""
    (machine,) = one.machines
    one.person("ann", one.text("x", "y")).done("push")
    machine.destroy()
    (machine.home / "atc.yml").write_text(one.text("x").replace("idle: 1h", "idel: 1h"))
    machine.start()
    assert answers(machine, "y")
    wait_until(lambda: edition_of(machine) == 1)
    assert "idel" in (machine.home / "log").read_text()
