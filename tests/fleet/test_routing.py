"""A request finds the machine of its tenant, wherever it arrives, however machines reach each other."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from functools import partial

import pytest

from tests.fleet.machines import Shows, digest, said, shows, some_bytes
from tests.system.running import wait_until

pytestmark = pytest.mark.system
PLACES = {"aa000000000001": "iad", "aa000000000002": "ams", "aa000000000003": "iad"}
FLEETS = {
    "fly": "fleet: {secret: everybody's, address: ADDRESS, replay: {timeout: 20s, fallback: true}}",
    "proxy": "fleet: {secret: everybody's, target: proxy, hosts: HOSTS}",
}
USERS = """
users:
  boston: {region: ams, tenants: {2025/april: {}, 2025/here: {instance: aa000000000001}}}
  bellevue: {instance: aa000000000001, tenants: {2025/winter: {}}}
  raleigh: {instance: aa000000000003, tenants: {2025/disney: {}, away: {host: disney.example}}}
"""
TENANTS = ("boston/2025/april", "boston/2025/here", "bellevue/2025/winter", "raleigh/2025/disney")


@pytest.fixture(scope="module", params=FLEETS)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shows]:
    text = FLEETS[request.param] + USERS
    with shows(text, PLACES, tmp_path_factory.mktemp("fleet"), target=request.param) as made:
        for each in made.doors:
            wait_until(partial(made.is_up, each))
        yield made


@pytest.mark.parametrize("where", ["iad", "ams"])
@pytest.mark.parametrize("tenant", TENANTS)
def test_every_tenant_answers_everywhere(fleet: Shows, tenant: str, where: str) -> None:
    assert said(fleet.ask(where, f"/{tenant}/")) == tenant


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 999_999, 1_000_000, 1_000_001, 1_048_577, 5_000_000])
def test_a_body_arrives_whole_and_once(fleet: Shows, size: int, chunked: bool) -> None:
    """What Fly Proxy cannot replay goes over the private network."""
    body = some_bytes(size)
    parts = [body[at : at + 300_000] for at in range(0, size, 300_000)] or [b""]
    for tenant in TENANTS:
        answer = fleet.ask("iad", f"/{tenant}/", method="POST", body=parts if chunked else body)
        assert answer.body.decode() == digest(body), answer


def test_a_host_is_found(fleet: Shows) -> None:
    for where in fleet.doors:
        assert said(fleet.ask(where, "/", headers={"host": "disney.example"})) == "raleigh/away"


@pytest.mark.parametrize("path", ["/nobody/", "/boston/2024/", "/"])
def test_what_nobody_has_is_not_found(fleet: Shows, path: str) -> None:
    assert fleet.ask("iad", path).status == 404


def test_the_tenant_sees_the_client_and_nothing_of_the_detour(fleet: Shows) -> None:
    forged = {
        "fly-prefer-region": "iad",
        "fly-replay-cache-status": "hit",
        "x-atc-hop": "me",
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-host": "evil.example",
    }
    for where in fleet.doors:
        answer = fleet.ask(where, "/boston/2025/april/headers?a=%2f", headers=forged)
        assert answer.status == 200, answer
        seen = json.loads(answer.body)
        assert not [name for name in seen if name.startswith(("fly-replay", "fly-prefer", "x-atc"))], seen
        assert (seen["path"], seen["host"]) == ("/boston/2025/april/headers?a=%2f", "example.test")
        if fleet.target == "proxy":
            assert seen["x-forwarded-for"].split(",")[0].startswith("127."), seen
            assert seen["x-forwarded-host"] == "example.test"


def test_what_arrives_wrong_is_not_sent_on(fleet: Shows) -> None:
    """A machine with another atc.yml sent it: a clear answer, and no loop."""
    begun = len(fleet.fly.deliveries)
    token = hmac.new(b"everybody's", b"hop", hashlib.sha256).hexdigest()
    sent = {"fly-replay-src": "instance=aa;region=iad;t=1", "fly-force-instance-id": "aa000000000001"}
    answer = fleet.ask("iad", "/boston/2025/april/", headers=sent if fleet.target == "fly" else {"x-atc-hop": token})
    assert answer.status == 503
    assert b"ams" in answer.body
    assert b"aa000000000001" in answer.body
    assert [[hop.machine for hop in each.hops] for each in fleet.fly.deliveries[begun:]] in ([], [["aa000000000001"]])


def test_a_websocket_reaches_its_tenant(fleet: Shows) -> None:
    for tenant in TENANTS:
        answer = fleet.ask(
            "iad",
            f"/{tenant}/socket",
            headers={
                "connection": "upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": "x3JJHMbDL1EzLkh9GBhXDw==",
            },
        )
        assert 101 in (answer.status, *answer.interim), answer
