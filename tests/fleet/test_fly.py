"""What only Fly Proxy does: replays with a fallback, caches, steering; and machines that sleep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.events import Delivery
from tests.fleet.machines import Shows, digest, said, shows, some_bytes, upstream
from tests.system.running import wait_until

pytestmark = pytest.mark.system
PLACES = {"aa000000000001": "iad", "aa000000000002": "ams", "aa000000000003": "iad"}
FLEET = "fleet: {secret: everybody's, address: ADDRESS, replay: {timeout: 20s, fallback: true}}\n"
USERS = """\
users:
  boston: {region: ams, tenants: {2025/april: {}}}
  bellevue: {instance: aa000000000001, tenants: {2025/winter: {}}}
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shows]:
    with shows(FLEET + USERS, PLACES, tmp_path_factory.mktemp("fleet")) as made:
        yield made


def test_a_sleeping_machine_is_woken_for_what_cannot_be_replayed(fleet: Shows) -> None:
    assert said(fleet.ask("iad", "/boston/2025/april/")) == "boston/2025/april"
    body = some_bytes(2_000_000)
    for sleep in (fleet.fly.suspend, fleet.fly.stop):
        sleep("aa000000000002")
        answer = fleet.ask("iad", "/boston/2025/april/", method="POST", body=body, timeout=60)
        assert answer.body.decode() == digest(body), answer


def test_what_cannot_be_replayed_waits_for_a_machine_that_is_stopping(fleet: Shows) -> None:
    """Fly Proxy refuses to wake one until it has stopped."""
    assert said(fleet.ask("iad", "/boston/2025/april/")) == "boston/2025/april"
    fleet.fly.do(lambda fly: fly.machine("aa000000000002").stop("user"))
    body = some_bytes(2_000_000)
    answer = fleet.ask("iad", "/boston/2025/april/", method="POST", body=body, timeout=60)
    assert answer.body.decode() == digest(body), answer


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_can_be_replayed_waits_for_it_as_well(fleet: Shows, method: str) -> None:
    """It came back, since the machine refused to start, and then goes the other way, once."""
    notes = fleet.fly.machine("aa000000000002").volume
    assert notes
    notes /= "tenants/boston.2025.april/notes"
    assert said(fleet.ask("iad", "/boston/2025/april/")) == "boston/2025/april"
    before = notes.read_text() if notes.exists() else ""
    fleet.fly.do(lambda fly: fly.machine("aa000000000002").stop("user"))
    body = b"x" * 1000 if method == "POST" else b""
    answer = fleet.ask("iad", "/boston/2025/april/", method=method, body=body, timeout=60)
    assert answer.status == 200, answer
    assert [each.error for each in fleet.fly.deliveries if each.target == "/boston/2025/april/"][-1] == ""
    assert "PM08" in fleet.fly.codes()
    if method == "POST":
        assert notes.read_text().removeprefix(before).count("\n") == 1


@pytest.mark.parametrize("name", ["aa000000000001", "aa000000000003"])
@pytest.mark.parametrize("header", ["fly-force-instance-id", "fly-prefer-instance-id"])
def test_a_steered_request_is_replayed_all_the_same(fleet: Shows, header: str, name: str) -> None:
    """Its headers are taken off, or they would steer the replay as well."""
    assert said(fleet.ask("iad", "/boston/2025/april/", headers={header: name})) == "boston/2025/april"


def test_when_the_machine_cannot_be_had_there_is_a_page(tmp_path: Path) -> None:
    text = FLEET.replace("20s", "1s") + USERS + "  gone: {instance: aa00000000dead, tenants: {x: {}}}\n"
    with shows(text, {"aa000000000001": "iad"}, tmp_path) as fleet:
        answer = fleet.ask("iad", "/gone/x/", headers={"accept": "text/html"})
        assert answer.status == 503, answer
        assert b"cannot be reached" in answer.body
        assert answer.headers["retry-after"] == "5"
        answer = fleet.ask("iad", "/gone/x/", method="POST", body=some_bytes(2_000_000), timeout=60)
        assert answer.status == 503, answer


def test_a_cached_route_skips_the_router_and_is_forgotten_when_it_is_wrong(tmp_path: Path) -> None:
    text = """\
fleet: {secret: all, address: ADDRESS, replay: 1m}
users:
  boston: {region: ams, tenants: {april: {}}}
  bellevue: {region: ams, tenants: {winter: {}, here: {region: iad}}}
"""
    with shows(text, {"aa000000000001": "iad", "aa000000000002": "ams"}, tmp_path) as fleet:
        for _ in range(3):
            for each in ("boston/april", "bellevue/winter", "bellevue/here"):
                assert said(fleet.ask("iad", f"/{each}/")) == each
        of_boston = [each for each in fleet.fly.deliveries if each.target.startswith("/boston")]
        assert [reached(each) for each in of_boston][1:] == [["aa000000000002"]] * 2
        fleet.edit("boston: {region: ams", "boston: {region: iad")
        wait_until(lambda: said(fleet.ask("iad", "/boston/april/")) == "boston/april" and is_here(fleet))


def is_here(fleet: Shows) -> bool:
    """Did the first machine answer last?"""
    return fleet.fly.deliveries[-1].answered_by == "aa000000000001"


def reached(delivery: Delivery) -> list[str]:
    """The machines that a request came to."""
    return [each.machine for each in delivery.hops]


def test_an_appliance_answers_what_a_rule_names(tmp_path: Path) -> None:
    """Another app, by path and method, wherever the tenant is."""
    rules = "elsewhere: [{path: '**.pdf', methods: [GET], app: printer}]"
    printer = upstream("printer", "bb000000000001", "ams")
    text = f"fleet: {{secret: all, address: ADDRESS, {rules}}}\n{USERS}"
    with shows(text, PLACES, tmp_path, printer) as fleet:
        for tenant in ("boston/2025/april", "bellevue/2025/winter"):
            answer = fleet.ask("iad", f"/{tenant}/heats.pdf?a=1")
            assert (answer.machine, answer.seen["target"]) == ("bb000000000001", f"/{tenant}/heats.pdf?a=1")
            assert said(fleet.ask("iad", f"/{tenant}/heats.html")) == tenant
            body = b"x"
            assert fleet.ask("iad", f"/{tenant}/heats.pdf", method="POST", body=body).body.decode() == digest(body)
