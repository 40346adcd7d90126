"""Items 6 and 23 to 26: what edges remember, and how it is undone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

import pytest

from simulator.description import MachineSpec
from simulator.events import Hop
from tests.simulator.fleets import (
    CALM,
    PORT,
    ROUTER,
    SPARE,
    TARGET,
    Answer,
    ask,
    fleet,
    machine,
    replay,
    service,
    where,
)

CACHED = ("fly-replay-cache:/page/*", "fly-replay-cache-ttl-secs:60")
RULE = {"path_prefix": "/", "ttl_seconds": 60, "type": "cookie", "name": "sid"}


def remembered(value: str = "app=target", *more: str, **parameters: str) -> str:
    """A replay of a page that is to be remembered."""
    return replay(value, "/page/1", *(CACHED + more), **parameters)


def with_rule(**changed: Any) -> MachineSpec:
    """A router with a rule of the session cache."""
    options = {"replay_cache": [RULE | changed]}
    ports = [{"port": 443, "handlers": ["tls", "http"], "http_options": options}]
    services = ({"internal_port": PORT, "autostart": True, "ports": ports},)
    return machine("router", ROUTER, services=services)


def status(answer: Answer) -> str:
    """The cache status that the application was told."""
    return answer.header("fly-replay-cache-status")


def test_item_6_a_hit_has_no_source_but_a_status() -> None:
    """The first is a miss, and not replayed is none."""
    with fleet(machine("router", ROUTER), machine("target", TARGET)) as fly:
        edge = fly.edge("iad")
        first, second = ask(edge, remembered()), ask(edge, remembered())

        assert (status(first), bool(first.header("fly-replay-src"))) == ("miss", True)
        assert (status(second), second.header("fly-replay-src")) == ("hit", "")
        assert status(ask(edge, "/")) == ""
        assert [each.cache for each in fly.deliveries] == ["miss", "hit", ""]


def test_item_23_a_hit_skips_the_emitter() -> None:
    """For all paths below the prefix of the same host, and no others."""
    with fleet(machine("router", ROUTER), machine("target", TARGET)) as fly:
        edge = fly.edge("iad")
        ask(edge, remembered())
        for path, headers, expected in (
            ("/page/other", {}, TARGET),
            ("/page", {}, TARGET),
            ("/pages", {}, ROUTER),
            ("/page/1", {"host": "other.test"}, ROUTER),
        ):
            assert ask(edge, path, headers=headers).machine == expected
        assert fly.deliveries[1].hops == (Hop(TARGET, 200, False, "cache"),)


@pytest.mark.parametrize(
    "parameters",
    [
        {"value": "app=target;state=x"},
        {"value": "app=target;timeout=5s"},
        {"value": "app=target;fallback=force_self"},
    ],
)
def test_item_23_what_excludes_a_cache_is_replayed_and_not_remembered(parameters: dict[str, str]) -> None:
    """State, timeout, fallback; too short a time and another path are in the tests of the parts."""
    with fleet(machine("router", ROUTER), machine("target", TARGET)) as fly:
        edge = fly.edge("iad")
        answers = [ask(edge, remembered(parameters["value"])) for _ in range(2)]

        assert [status(each) for each in answers] == ["miss", "miss"]
        assert len(edge.caches) == 0


def test_item_23_entries_are_lost_at_random() -> None:
    """So that nothing depends on them."""
    with fleet(
        machine("router", ROUTER), machine("target", TARGET), unknowns=replace(CALM, cache_drop=0.5), seed=7
    ) as fly:
        said = {status(ask(fly.edge("iad"), remembered())) for _ in range(12)}
        assert said == {"hit", "miss"}
        fly.do(lambda running: running.drop_caches())
        assert status(ask(fly.edge("iad"), remembered())) == "miss"


@pytest.mark.parametrize("gone", ["error", "origin"])
def test_item_23_a_remembered_target_that_is_gone(gone: Literal["error", "origin"]) -> None:
    """An error for the rest of its time, or a question to the origin: nobody knows, so it is a switch."""
    with fleet(
        machine("router", ROUTER), machine("target", TARGET), unknowns=replace(CALM, cached_target_gone=gone)
    ) as fly:
        edge = fly.edge("iad")
        ask(edge, remembered())
        fly.destroy(TARGET)
        answer = ask(edge, "/page/1")

        assert answer.status == 502 if gone == "error" else answer.machine == ROUTER


def test_item_24_a_session_is_remembered_by_its_cookie() -> None:
    """Another value asks the emitter again, and no value is never remembered."""
    with fleet(with_rule(), machine("target", TARGET)) as fly:
        edge = fly.edge("iad")
        cookies = [{"cookie": f"sid={each}"} for each in ("1", "1", "2")]
        said = [status(ask(edge, replay("app=target"), headers=each)) for each in [*cookies, {}, {}]]

        assert said == ["miss", "hit", "miss", "miss", "miss"]
        assert ask(edge, "/elsewhere", headers=cookies[0]).machine == TARGET


def test_item_24_a_session_ends_with_its_time() -> None:
    """A cookie that was given to somebody else reaches the old machine no longer than that."""
    clock = {"now": 0.0}
    with fleet(with_rule(ttl_seconds=10), machine("target", TARGET)) as fly:
        edge = fly.edge("iad")
        edge.caches.clock = lambda: clock["now"]
        cookie = {"cookie": "sid=1"}
        ask(edge, replay("app=target"), headers=cookie)
        clock["now"] = 9.9
        assert ask(edge, "/", headers=cookie).machine == TARGET
        clock["now"] = 10.0
        assert ask(edge, "/", headers=cookie).machine == ROUTER


@pytest.mark.parametrize("strict", [True, False])
def test_item_24_a_session_with_a_state_is_a_switch(strict: bool) -> None:
    """The documentation is silent."""
    unknowns = replace(CALM, session_cache_is_strict=strict)
    with fleet(with_rule(), machine("target", TARGET), unknowns=unknowns) as fly:
        answers = [ask(fly.edge("iad"), replay("app=target;state=x"), headers={"cookie": "sid=1"}) for _ in range(2)]
        assert status(answers[1]) == ("miss" if strict else "hit")


@pytest.mark.parametrize("kind", ["path", "session"])
def test_item_25_only_a_replay_back_to_the_origin_invalidates(kind: str) -> None:
    """From the target; the emitter itself cannot."""
    back = json.dumps({"/page/out": ["fly-replay:app=router", "fly-replay-cache:invalidate"]})
    router = machine("router", ROUTER) if kind == "path" else with_rule()
    target = remembered() if kind == "path" else replay("app=target", "/page/1")
    with fleet(router, machine("target", TARGET, env={"RULES": back})) as fly:
        edge, cookie = fly.edge("iad"), {"cookie": "sid=1"}
        assert [status(ask(edge, target, headers=cookie)) for _ in range(2)] == ["miss", "hit"]
        assert ask(edge, "/page/out", headers=cookie).machine == ROUTER
        assert ask(edge, "/page/1", headers=cookie).machine == ROUTER
        ask(edge, target, headers=cookie)
        ask(edge, replay("app=router", "/x", "fly-replay-cache:invalidate"))
        assert ask(edge, "/page/1", headers=cookie).machine == TARGET


def test_item_25_a_bypass_needs_leave() -> None:
    """Of the emitter, or of the rule."""
    skip = {"fly-replay-cache-control": "skip", "cookie": "sid=1"}
    for router, headers, expected in (
        (machine("router", ROUTER), (), "hit"),
        (machine("router", ROUTER), ("fly-replay-cache-allow-bypass:yes",), "bypass"),
        (with_rule(allow_bypass=True), (), "bypass"),
    ):
        with fleet(router, machine("target", TARGET)) as fly:
            edge = fly.edge("iad")
            ask(edge, remembered("app=target", *headers), headers={"cookie": "sid=1"})
            assert status(ask(edge, remembered("app=target", *headers), headers=skip)) == expected
            assert fly.deliveries[-1].cache == expected


@pytest.mark.parametrize("shared", [False, True])
def test_item_26_every_edge_remembers_for_itself(shared: bool) -> None:
    """Unless that is switched."""
    with fleet(
        machine("router", ROUTER), machine("target", TARGET), unknowns=replace(CALM, caches_are_shared=shared)
    ) as fly:
        ask(fly.edge("iad"), remembered())
        said = [status(ask(fly.edge(each), remembered())) for each in ("iad", "ams")]
        assert said == ["hit", "hit" if shared else "miss"]


def test_item_26_every_edge_prefers_what_is_near() -> None:
    """Two edges, two answers."""
    with fleet(machine("router", ROUTER), machine("router", SPARE, "ams", services=service(80, 443))) as fly:
        assert [ask(fly.edge(each), where("/")).machine for each in ("iad", "ams")] == [ROUTER, SPARE]
