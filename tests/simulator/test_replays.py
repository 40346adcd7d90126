"""Items 1 to 5 and 7 to 10: what a replay is, what it may carry, and where it may go."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest

from simulator.description import AppSpec
from simulator.replay import JSON_TYPE
from tests.simulator.fleets import (
    CALM,
    ROUTER,
    SPARE,
    TARGET,
    ask,
    fleet,
    machine,
    replay,
    service,
    where,
)

TO_TARGET = "app=target"


def pair(**more: Any) -> Any:
    """A router and a target."""
    return fleet(machine("router", ROUTER), machine("target", TARGET), **more)


@pytest.mark.parametrize("status", ["200", "204", "307", "409"])
def test_item_1_an_answer_with_a_replay_never_reaches_the_client(status: str) -> None:
    """Not its status, headers or body."""
    with pair() as fly:
        target = replay(TO_TARGET, "/page", "set-cookie:a=b", "x-own:1", status=status)
        answer = ask(fly.edge("iad"), target)

        assert (answer.status, answer.machine) == (200, TARGET)
        assert not {"set-cookie", "x-own", "fly-replay"} & set(answer.headers)
        (first, second) = fly.deliveries[-1].hops
        assert (first.machine, first.replayed, second.machine) == (ROUTER, True, TARGET)


def test_item_1_json_is_intercepted_too_and_cookies_only_stay_if_switched() -> None:
    """By its content type; the target says nothing of the cookie itself."""
    said = json.dumps({"app": "target"})
    rules = json.dumps({"/json": [f"content-type:{JSON_TYPE}", "set-cookie:a=b"]})
    router, target = machine("router", ROUTER, env={"RULES": rules}), machine("target", TARGET)
    for keeps in (False, True):
        with fleet(router, target, unknowns=replace(CALM, keeps_cookies=keeps)) as fly:
            answer = ask(fly.edge("iad"), where("/json", say=said))

            assert (answer.status, answer.body) == (200, said.encode())
            assert ("set-cookie" in answer.headers) is keeps
            assert fly.deliveries[-1].answered_by == TARGET


def test_item_2_the_original_request_is_sent_again() -> None:
    """Method, path, query, Host, headers and body; only a transform changes it."""
    with pair() as fly:
        path = replay(TO_TARGET, "/a%20b")
        answer = ask(fly.edge("iad"), path, method="PUT", headers={"x-a": "1", "host": "a.test:8"}, body=b"some bytes")

        assert answer.machine == TARGET
        assert (answer.seen["method"], answer.seen["target"], answer.seen["body"]) == ("PUT", path, "some bytes")
        assert (answer.header("host"), answer.header("x-a"), answer.header("content-length")) == ("a.test:8", "1", "10")


def test_item_2_a_transform_changes_path_and_headers() -> None:
    """Replay as JSON."""
    said = {
        "app": "target",
        "transform": {
            "path": "/else?y=1",
            "delete_headers": ["Authorization"],
            "set_headers": [{"name": "X-A", "value": "2"}],
        },
    }
    rules = json.dumps({"/json": [f"content-type:{JSON_TYPE}"]})
    with fleet(machine("router", ROUTER, env={"RULES": rules}), machine("target", TARGET)) as fly:
        answer = ask(fly.edge("iad"), where("/json", say=json.dumps(said)), headers={"authorization": "x", "x-a": "1"})

        assert (answer.machine, answer.seen["target"]) == (TARGET, "/else?y=1")
        assert (answer.header("authorization"), answer.header("x-a")) == ("", "2")


@pytest.mark.parametrize("limit", [1_000_000, 1_048_576])
def test_item_3_a_body_above_the_limit_cannot_be_replayed(limit: int) -> None:
    """Bytes are counted as they come, in chunks or not."""
    with pair(unknowns=replace(CALM, replay_limit=limit)) as fly:
        edge = fly.edge("iad")
        for size in (1_000_000, 1_000_001, 1_048_576, 1_048_577):
            chunks = [b"x" * 99_999] * (size // 99_999) + [b"x" * (size % 99_999)]
            for body in (b"x" * size, chunks):
                answer = ask(edge, replay(TO_TARGET), method="POST", body=body)
                if size <= limit:
                    assert (answer.machine, answer.seen["length"]) == (TARGET, size)
                else:
                    assert (answer.status, answer.body, fly.deliveries[-1].error) == (502, b"", "PA01")
        assert set(fly.codes("router")) == {"PA01"}


def test_item_3_a_request_that_is_not_replayed_may_have_any_size() -> None:
    """And one that is answered before it was read."""
    with pair() as fly:
        answer = ask(fly.edge("iad"), "/upload", method="POST", body=b"x" * 20_000_000)
        assert (answer.machine, answer.seen["length"]) == (ROUTER, 20_000_000)
        early = ask(fly.edge("iad"), where("/upload", early="1"), method="POST", body=b"x" * 3_000_000)
        assert early.status == 200
        refused = ask(fly.edge("iad"), replay(TO_TARGET, early="1"), method="POST", body=b"x" * 3_000_000)
        assert refused.status == 502
        fits = ask(fly.edge("iad"), replay(TO_TARGET, early="1"), method="POST", body=b"x" * 900_000)
        assert fits.status == 200


@pytest.mark.parametrize(
    "value", ["app=target;region=iad,ord", "app=target;timeout=1500", "app=target;what=x", "app=target,state=x", "x"]
)
def test_item_4_a_replay_is_read_strictly(value: str) -> None:
    """PA03 in the emitter's log."""
    with pair() as fly:
        answer = ask(fly.edge("iad"), replay(value))

        assert (answer.status, answer.body, fly.codes("router")) == (502, b"", ["PA03"])


def test_item_5_the_target_learns_who_sent_it() -> None:
    """On uncached replays, with the state."""
    with pair() as fly:
        answer = ask(fly.edge("iad"), replay(f"{TO_TARGET};state=se-cret"))
        found = re.fullmatch(rf"instance={ROUTER};region=iad;t=(\d+);state=se-cret", answer.header("fly-replay-src"))

        assert found
        assert abs(int(found[1]) / 1e6 - time.time()) < 60


@pytest.mark.parametrize("strips", [False, True])
def test_item_5_what_a_client_forges_is_passed_or_stripped(strips: bool) -> None:
    """A replay overwrites it in both modes."""
    with pair(unknowns=replace(CALM, strips_forged=strips)) as fly:
        forged = {"fly-replay-src": "instance=x;region=y;t=1;state=forged"}
        assert ask(fly.edge("iad"), "/page", headers=forged).header("fly-replay-src") == (
            "" if strips else forged["fly-replay-src"]
        )
        said = ask(fly.edge("iad"), replay(TO_TARGET, again="1"), headers=forged).header("fly-replay-src")
        assert said.startswith(f"instance={ROUTER};")
        assert "forged" not in said


def test_item_7_the_eleventh_replay_fails() -> None:
    """PA02; ten are fine."""
    with pair() as fly:
        answer = ask(fly.edge("iad"), replay(TO_TARGET, again="1", on="*"))

        assert (answer.status, fly.codes()) == (502, ["PA02"])
        assert len(fly.deliveries[-1].hops) == 11
        assert all(each.replayed for each in fly.deliveries[-1].hops)


def test_item_8_the_port_of_the_client_must_be_a_port_of_the_target() -> None:
    """The port inside does not matter; 80 and 443 are two ports."""
    router = machine("router", ROUTER, services=service(80, 443, 9090))
    with fleet(router, machine("target", TARGET, services=service(443))) as fly:
        assert ask(fly.edge("iad"), replay(TO_TARGET), port=443).machine == TARGET
        for port in (80, 9090):
            assert ask(fly.edge("iad"), replay(TO_TARGET), port=port).status == 502
        said = [f"replay to target: no service at port {each}" for each in (80, 9090)]
        assert [each.message for each in fly.errors] == said
        assert fly.codes() == ["PR04", "PR04"]
    with fleet(router, machine("target", TARGET, services=service(80, 443, 9090))) as fly:
        answers = [ask(fly.edge("iad"), replay(TO_TARGET), port=port) for port in (80, 443, 9090)]
        assert [each.machine for each in answers] == [TARGET] * 3
        assert [each.header("x-forwarded-proto") for each in answers] == ["http", "https", "http"]
        assert [each.header("fly-forwarded-port") for each in answers] == ["80", "443", "9090"]


def _scoped(**more: Any) -> Any:
    apps = [
        AppSpec(name="router"),
        AppSpec(name="target", network="own", public=False),
        AppSpec(name="away", org="them", public=False),
    ]
    return fleet(machine("router", ROUTER), machine("target", TARGET), machine("away", SPARE), apps=apps, **more)


def test_item_9_a_replay_stays_in_its_network_and_organization() -> None:
    """PA05 for another organization, PA04 for an app that does not exist."""
    with _scoped() as fly:
        assert [ask(fly.edge("iad"), replay(f"app={each}")).status for each in ("target", "away", "nobody")] == [
            502
        ] * 3
        assert fly.codes("router") == ["network", "PA05", "PA04"]
        assert "cross-network replays are not allowed" in fly.errors[0].message


def test_item_9_switches_of_the_organizations_open_the_borders() -> None:
    """One for networks, one for who may send from outside."""
    with _scoped(cross_network=frozenset({"personal"}), replay_sources={"them": ("personal",)}) as fly:
        assert [ask(fly.edge("iad"), replay(f"app={each}")).machine for each in ("target", "away")] == [TARGET, SPARE]


def test_item_10_a_target_needs_no_address_but_is_not_reached_without() -> None:
    """Neither by its name nor by steering."""
    with pair() as fly:
        assert ask(fly.edge("iad"), replay(TO_TARGET)).machine == TARGET
        assert ask(fly.edge("iad"), "/", headers={"host": "target.fly.dev"}).status == 0
        assert ask(fly.edge("iad"), "/", headers={"host": "router.fly.dev"}).machine == ROUTER
        assert fly.codes("target") == ["no-address"]
