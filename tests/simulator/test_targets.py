"""Items 17 to 22: how a target is found, and what happens when it is not."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from simulator.description import EdgeSpec
from simulator.events import Hop
from simulator.fleet import Fleet
from simulator.running import Running
from tests.simulator.fleets import (
    CALM,
    OTHER,
    QUICK,
    ROUTER,
    SPARE,
    TARGET,
    ask,
    fleet,
    machine,
    replay,
    service,
    wait_until,
)

TO_TARGET = "app=target"


def pair(**more: Any) -> Any:
    """A router and a target."""
    return fleet(machine("router", ROUTER), machine("target", TARGET), **more)


def test_item_17_an_edge_believes_what_was() -> None:
    """With another candidate it goes there (PM11), a sole one is woken."""
    stale = replace(CALM, stale_view=30)
    for others in (0, 1):
        spare = [machine("target", SPARE, "ams")] * others
        with fleet(machine("router", ROUTER), machine("target", TARGET), *spare, unknowns=stale) as fly:
            fly.do(_started_long_ago)
            fly.stop(TARGET)
            answer = ask(fly.edge("iad"), replay(TO_TARGET))

            assert answer.machine == (SPARE if others else TARGET)
            assert fly.codes("target") == ["PM11"] * others


def _started_long_ago(running: Fleet) -> None:
    for each in running.registry.machines.values():
        each.history.forget()


def test_item_17_an_edge_may_be_later_than_another() -> None:
    """Its own view of the same machines (item 26)."""
    edges = (EdgeSpec(region="iad"), EdgeSpec(region="ams", lag=60))
    with fleet(machine("router", ROUTER), machine("router", OTHER), edges=edges) as fly:
        fly.do(_started_long_ago)
        fly.stop(ROUTER)
        assert [ask(fly.edge(each)).machine for each in ("iad", "ams")] == [OTHER, OTHER]
        assert fly.codes() == ["PM11"]


def test_item_18_a_target_that_is_missing_takes_its_time() -> None:
    """The reason stands in the emitter's log only; a timeout makes it sooner."""
    tempo = replace(QUICK, missing_target=1.0)
    with fleet(machine("router", ROUTER), tempo=tempo) as fly:
        began = time.monotonic()
        answer = ask(fly.edge("iad"), replay(TO_TARGET))
        slow = time.monotonic() - began
        assert (answer.status, answer.body, answer.headers["content-length"]) == (502, b"", "0")
        ask(fly.edge("iad"), replay(f"{TO_TARGET};timeout=100ms"))
        quick = time.monotonic() - began - slow

        assert slow >= 1.0
        assert 0.1 <= quick < 0.9
        assert fly.codes("router") == ["PR04", "PR04"]
        assert fly.codes("target") == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("app=target;timeout=150ms;fallback=force_self", "timeout"),
        ("app=target;fallback=force_self", "no_candidate"),
        ("app=target;fallback=prefer_self", "no_candidate"),
    ],
)
def test_item_19_a_fallback_brings_the_request_back(value: str, reason: str) -> None:
    """With what failed, and the original request."""
    with fleet(machine("router", ROUTER), machine("router", OTHER, "ams")) as fly:
        answer = ask(fly.edge("iad"), replay(value), method="POST", body=b"kept")

        assert (answer.machine, answer.seen["body"]) == (ROUTER, "kept")
        told = answer.header("fly-replay-failed")
        assert f"app=target;region=;replay_source={ROUTER};reason={reason};elapsed_ms=" in told
        assert answer.header("fly-replay-src") == ""


def test_item_19_retries_that_are_used_up_are_a_failure() -> None:
    """The target refuses, until the proxy gives up."""
    with pair(tempo=replace(QUICK, connect_tries=20, connect_window=2)) as fly:
        fly.do(lambda running: running.refuse(TARGET))
        answer = ask(fly.edge("iad"), replay(f"{TO_TARGET};fallback=force_self"))

        assert "reason=retries_exhausted" in answer.header("fly-replay-failed")


def test_item_19_an_answer_is_a_success_whatever_it_says() -> None:
    """Neither a 500 nor a slow answer brings a request back."""
    with pair() as fly:
        for more in ({"then": "500"}, {"wait": "0.4"}):
            answer = ask(fly.edge("iad"), replay(f"{TO_TARGET};timeout=100ms;fallback=force_self", **more))
            assert answer.machine == TARGET


def test_item_19_who_has_it_back_may_not_replay_it_again() -> None:
    """And when the emitter is gone, `force_self` is an error and `prefer_self` another machine."""
    with fleet(machine("router", ROUTER), machine("router", OTHER)) as fly:
        answer = ask(fly.edge("iad"), replay("app=nobody;fallback=force_self", again="1"))
        assert (answer.status, fly.codes("router")[-1]) == (502, "PA03")
    for fallback, expected in (("force_self", None), ("prefer_self", OTHER)):
        services = service(autostart=False)
        own = [machine("router", each, services=services) for each in (ROUTER, OTHER)]
        with fleet(*own, tempo=replace(QUICK, missing_target=1)) as fly:
            losing = threading.Thread(target=_lose_router, args=(fly,))
            losing.start()
            answer = ask(fly.edge("iad"), replay(f"app=nobody;fallback={fallback}", delay="0.3"))
            losing.join()
            assert (answer.machine if answer.status == 200 else None) == expected


def _lose_router(fly: Running) -> None:
    """When it has emitted its replay."""
    wait_until(lambda: fly.machine(ROUTER).load == 1, "a request")
    wait_until(lambda: fly.machine(ROUTER).load == 0, "a replay")
    fly.crash(ROUTER)


def test_item_20_a_preferred_instance_that_is_missing_spills() -> None:
    """The other machine is told; with `instance` there is no other machine."""
    with fleet(machine("router", ROUTER), machine("target", TARGET), machine("target", SPARE)) as fly:
        edge = fly.edge("iad")
        assert ask(edge, replay(f"app=target;prefer_instance={SPARE}")).machine == SPARE
        fly.destroy(SPARE)
        spilt = ask(edge, replay(f"app=target;prefer_instance={SPARE}"))
        assert (spilt.machine, spilt.header("fly-preferred-instance-unavailable")) == (TARGET, SPARE)
        assert ask(edge, replay(f"app=target;instance={SPARE}")).status == 502
        assert ask(edge, replay(f"instance={TARGET}")).status == 502


def test_item_21_elsewhere_is_not_here() -> None:
    """With one machine it is an error."""
    with fleet(machine("router", ROUTER), machine("router", OTHER, "ams")) as fly:
        assert ask(fly.edge("iad"), replay("elsewhere=true")).machine == OTHER
        assert ask(fly.edge("ams"), replay("elsewhere=true")).machine == ROUTER
    with fleet(machine("router", ROUTER)) as fly:
        assert ask(fly.edge("iad"), replay("elsewhere=true")).status == 502


def test_item_22_regions_are_tried_in_order_and_never_guessed() -> None:
    """Aliases are spelt out; a region without a machine is an error."""
    away = "bb000000000003"
    targets = [machine("target", TARGET), machine("target", SPARE, "ord"), machine("target", away, "ams")]
    with fleet(machine("router", ROUTER), *targets) as fly:
        edge = fly.edge("iad")
        for regions, expected in (
            ("ord", SPARE),
            ('"sjc,ams"', away),
            ('"eu,us"', away),
            ("us", TARGET),
            ('"sjc,any"', TARGET),
        ):
            assert ask(edge, replay(f"app=target;region={regions}")).machine == expected
        assert ask(edge, replay("app=target;region=sjc")).status == 502
        assert fly.deliveries[0].hops == (Hop(ROUTER, 200, True), Hop(SPARE, 200, False, "replay"))
