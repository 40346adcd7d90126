"""A request finds the machine of its tenant, wherever it arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.events import Delivery
from tests.fleet.machines import Running, ask, digest, said, shows, some_bytes
from tests.system.running import wait_until

pytestmark = pytest.mark.system
PLACES = {"aa000000000001": "iad", "aa000000000002": "ams", "aa000000000003": "iad"}
FILE = """\
fleet: {secret: everybody's, address: ADDRESS, replay: {timeout: 20s, fallback: true}}
users:
  boston: {region: ams, tenants: {2025/april: {}, 2025/here: {instance: aa000000000001}}}
  bellevue: {instance: aa000000000001, tenants: {2025/winter: {}}}
  raleigh: {instance: aa000000000003, tenants: {2025/disney: {}, away: {host: disney.example}}}
"""
TENANTS = ("boston/2025/april", "boston/2025/here", "bellevue/2025/winter", "raleigh/2025/disney")


@pytest.fixture(scope="module")
def fly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with shows(FILE, PLACES, tmp_path_factory.mktemp("fleet")) as made:
        yield made


@pytest.mark.parametrize("edge", ["iad", "ams"])
@pytest.mark.parametrize("tenant", TENANTS)
def test_every_tenant_answers_at_every_edge(fly: Running, tenant: str, edge: str) -> None:
    assert said(ask(fly.edge(edge), f"/{tenant}/")) == tenant


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 1, 999_999, 1_000_000, 1_000_001, 1_048_577, 5_000_000])
def test_a_body_arrives_whole_and_once(fly: Running, size: int, chunked: bool) -> None:
    """What Fly Proxy cannot replay goes over the private network."""
    body = some_bytes(size)
    parts = [body[at : at + 300_000] for at in range(0, size, 300_000)] or [b""]
    for tenant in TENANTS[::3]:
        number = f"{size}-{chunked}-{tenant}"
        answer = ask(
            fly.edge("iad"),
            f"/{tenant}/",
            method="POST",
            headers={"X-Number": number},
            body=parts if chunked else body,
        )
        if chunked:  # the application knows no chunks, and nginx passes them on as it has them
            assert answer.status == 200, answer
        else:
            assert answer.body.decode() == digest(body), answer


def test_a_host_is_found(fly: Running) -> None:
    assert said(ask(fly.edge("ams"), "/", headers={"host": "disney.example"})) == "raleigh/away"


@pytest.mark.parametrize("path", ["/nobody/", "/boston/2024/", "/"])
def test_what_nobody_has_is_not_found(fly: Running, path: str) -> None:
    assert ask(fly.edge("iad"), path).status == 404


def test_the_tenant_sees_the_client_and_nothing_of_the_detour(fly: Running) -> None:
    forged = {
        "fly-prefer-region": "iad",
        "fly-replay-cache-status": "hit",
        "x-atc-hop": "me",
        "x-forwarded-host": "other.example",
    }
    for size in (0, 1_200_000):
        method = "POST" if size else "GET"
        answer = ask(fly.edge("iad"), "/boston/2025/april/headers", method=method, headers=forged, body=b"x" * size)
        assert answer.status == 200
        if not size:
            seen = json.loads(answer.body)
            assert not [name for name in seen if name.startswith(("fly-replay", "fly-prefer", "x-atc"))], seen
            assert seen["path"] == "/boston/2025/april/headers"
            assert seen["host"] == "example.test"


def test_a_sleeping_machine_is_woken_for_what_cannot_be_replayed(fly: Running) -> None:
    assert said(ask(fly.edge("iad"), "/boston/2025/april/")) == "boston/2025/april"
    fly.suspend("aa000000000002")
    body = some_bytes(2_000_000)
    answer = ask(fly.edge("iad"), "/boston/2025/april/", method="POST", body=body, timeout=60)
    assert answer.body.decode() == digest(body), answer
    fly.stop("aa000000000002")
    answer = ask(fly.edge("iad"), "/boston/2025/april/", method="POST", body=body, timeout=60)
    assert answer.body.decode() == digest(body), answer


def test_a_replay_that_arrives_wrong_is_not_replayed_again(fly: Running) -> None:
    """A machine with another atc.yml: a clear answer, and no loop."""
    begun = len(fly.deliveries)
    forged = {"fly-replay-src": "instance=aa;region=iad;t=1"}
    answer = ask(fly.edge("iad"), "/boston/2025/april/", headers=forged | {"fly-force-instance-id": "aa000000000001"})
    assert answer.status == 503
    assert b"region=ams" in answer.body
    assert b"aa000000000001" in answer.body
    assert reached(fly.deliveries[begun]) == ["aa000000000001"]


def test_a_steered_request_is_replayed_all_the_same(fly: Running) -> None:
    for name in ("aa000000000001", "aa000000000003"):
        answer = ask(fly.edge("iad"), "/boston/2025/april/", headers={"fly-force-instance-id": name})
        assert said(answer) == "boston/2025/april"


def test_when_the_machine_cannot_be_had_there_is_a_page(tmp_path: Path) -> None:
    text = FILE.replace("20s", "1s") + "  gone: {instance: aa00000000dead, tenants: {x: {}}}\n"
    with shows(text, {"aa000000000001": "iad"}, tmp_path) as fly:
        answer = ask(fly.edge("iad"), "/gone/x/", headers={"accept": "text/html"})
        assert answer.status == 503, answer
        assert b"cannot be reached" in answer.body
        assert answer.headers["retry-after"] == "5"


def test_a_cached_route_skips_the_router_and_is_forgotten_when_it_is_wrong(tmp_path: Path) -> None:
    text = """\
fleet: {secret: all, address: ADDRESS, replay: 1m}
users:
  boston: {region: ams, tenants: {april: {}}}
  bellevue: {region: ams, tenants: {winter: {}, here: {region: iad}}}
"""
    with shows(text, {"aa000000000001": "iad", "aa000000000002": "ams"}, tmp_path) as fly:
        edge = fly.edge("iad")
        for _ in range(3):
            assert said(ask(edge, "/boston/april/")) == "boston/april"
            assert said(ask(edge, "/bellevue/winter/")) == "bellevue/winter"
            assert said(ask(edge, "/bellevue/here/")) == "bellevue/here"
        by_path = [each for each in fly.deliveries if each.target.startswith("/boston")]
        assert [reached(each) for each in by_path][1:] == [["aa000000000002"]] * 2
        # boston moves: everybody knows but the edge
        file = tmp_path / "atc.yml"
        file.write_text(file.read_text().replace("boston: {region: ams", "boston: {region: iad"))
        wait_until(lambda: said(ask(edge, "/boston/april/")) == "boston/april" and here(fly))


def here(fly: Running) -> bool:
    """Did the first machine answer last?"""
    return fly.deliveries[-1].answered_by == "aa000000000001"


def reached(delivery: Delivery) -> list[str]:
    """The machines that a request came to."""
    return [each.machine for each in delivery.hops]
