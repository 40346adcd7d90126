"""Items 11 to 16, 32, 35 and 36: how machines wake, sleep, stop and move; with real processes."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulator.running import Running
from tests.simulator.fleets import (
    CALM,
    QUICK,
    ROUTER,
    TARGET,
    ask,
    exactly,
    fleet,
    machine,
    replay,
    service,
    upgraded,
    wait_until,
    where,
)

TO_TARGET = "app=target"


def pair(**target: Any) -> Any:
    """A router, and a target that is configured."""
    more = {key: target.pop(key) for key in ("unknowns", "tempo") if key in target}
    return fleet(machine("router", ROUTER), machine("target", TARGET, **target), **more)


def put_to_sleep(fly: Running, how: str) -> None:
    """Suspend or stop the target."""
    fly.suspend(TARGET) if how == "suspended" else fly.stop(TARGET)
    assert fly.machine(TARGET).state == how


@pytest.mark.parametrize("how", ["suspended", "stopped"])
def test_item_11_a_replay_starts_a_machine_that_sleeps(how: str) -> None:
    """The request waits for it; the events say that it was the proxy."""
    with pair() as fly:
        put_to_sleep(fly, how)
        answer = ask(fly.edge("iad"), replay(TO_TARGET))

        assert (answer.machine, fly.machine(TARGET).state) == (TARGET, "started")
        assert fly.machine(TARGET).events[0]["source"] == "proxy"


@pytest.mark.parametrize("how", ["suspended", "stopped"])
def test_item_11_without_autostart_it_is_an_error(how: str) -> None:
    """And a service that does not say it has none."""
    for services in (service(443, autostart=False), service(443, autostart=None)):
        with pair(services=services) as fly:
            put_to_sleep(fly, how)
            assert ask(fly.edge("iad"), replay(TO_TARGET)).status == 502
            assert fly.machine(TARGET).state == how


def test_item_11_starts_can_be_slow_and_can_fail() -> None:
    """A failure is in the target's log with its code, and the next request may succeed."""
    with pair() as fly:
        fly.stop(TARGET)
        fly.do(lambda running: running.fail_starts(TARGET, code="PM07"))
        assert ask(fly.edge("iad"), replay(TO_TARGET)).status == 502
        assert (fly.codes("target"), fly.codes("router")) == (["PM07"], ["PR03"])
        fly.do(lambda running: running.slow_starts(TARGET, 0.6))
        began = time.monotonic()
        assert ask(fly.edge("iad"), replay(TO_TARGET)).machine == TARGET
        assert time.monotonic() - began > 0.6


def test_item_11_a_machine_that_is_stopping_cannot_be_started() -> None:
    """PM08; in another mode the proxy waits until it can."""
    for retries in (False, True):
        stubborn = {"TOLD": "{volume}/told", "STUBBORN": "1"}
        config = {"stop_config": {"timeout": "1s"}}
        unknowns = replace(CALM, stopping_is_retried=retries)
        with pair(env=stubborn, config=config, unknowns=unknowns) as fly:
            ask(fly.edge("iad"), replay(TO_TARGET))
            fly.do(lambda running: running.machine(TARGET).stop("user"))
            answer = ask(fly.edge("iad"), replay(TO_TARGET))
            assert answer.machine == TARGET if retries else fly.codes("target") == ["PM08"]


def test_item_12_started_is_not_ready() -> None:
    """Refused connections are tried again for a while."""
    with pair(env={"BOOT": "0.7"}) as fly:
        began = time.monotonic()
        assert ask(fly.edge("iad"), replay(TO_TARGET)).machine == TARGET
        assert time.monotonic() - began > 0.3
    with pair(env={"BOOT": "60"}, tempo=replace(QUICK, connect_window=1.5)) as fly:
        answer = ask(fly.edge("iad"), replay(TO_TARGET))
        assert (answer.status, answer.body, fly.codes("router")) == (502, b"", ["PR03"])
        assert fly.codes("target") == ["PC07"]


def test_item_12_a_machine_whose_check_fails_gets_no_requests() -> None:
    """And checks go to the internal port, without the headers of the proxy (item 30)."""
    checks = [{"type": "http", "path": "/health", "interval": "50ms", "timeout": "2s", "grace_period": "50ms"}]
    tempo = replace(QUICK, shortest_check=0.05)
    with pair(services=service(443, checks=checks), tempo=tempo) as fly:
        assert ask(fly.edge("iad"), replay(TO_TARGET)).machine == TARGET
        ask(fly.edge("iad"), replay(TO_TARGET, "/fail"))
        wait_until(lambda: not fly.machine(TARGET).healthy, "a check that fails")
        assert ask(fly.edge("iad"), replay(TO_TARGET)).status == 502
        _direct(fly, "/mend")
        wait_until(lambda: fly.machine(TARGET).healthy, "a check that passes")
        assert ask(fly.edge("iad"), replay(TO_TARGET)).machine == TARGET
        assert fly.machine(TARGET).state == "started"


def _direct(fly: Running, target: str) -> bytes:
    """Ask a machine over the private network, without the proxy."""
    with socket.create_connection((fly.machine(TARGET).identity.address, 8080), 20) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        return sock.recv(65_536)


def test_item_12_a_machine_without_a_check_yet_may_have_to_wait() -> None:
    """A switch: is what was not checked healthy?"""
    checks = [{"type": "tcp", "interval": "50ms"}]
    tempo = replace(QUICK, shortest_check=0.05)
    unknowns = replace(CALM, unchecked_is_healthy=False)
    with pair(services=service(443, checks=checks), tempo=tempo, unknowns=unknowns) as fly:
        wait_until(lambda: fly.machine(TARGET).healthy, "a check that passes")
        assert ask(fly.edge("iad"), replay(TO_TARGET)).machine == TARGET


def test_item_13_a_request_interrupts_a_suspend() -> None:
    """The machine goes on with its memory, without a start."""
    with pair(tempo=replace(QUICK, suspend=30)) as fly:
        ask(fly.edge("iad"), replay(TO_TARGET, "/count"))
        fly.do(lambda running: running.machine(TARGET).suspend("user"))
        assert fly.machine(TARGET).state == "suspending"
        assert ask(fly.edge("iad"), replay(TO_TARGET, "/count")).body == b"2"
        assert (fly.machine(TARGET).state, fly.machine(TARGET).starts) == ("started", 1)


def test_item_14_a_resume_keeps_memory_and_files_and_breaks_sockets_to_outside() -> None:
    """Not one process ran meanwhile, also none in a session of its own."""
    with pair(env={"CHILD": "1"}) as fly, socket.create_server(("127.0.0.1", 0)) as outside:
        edge = fly.edge("iad")
        ask(edge, replay(TO_TARGET, "/count"))
        ask(edge, replay(TO_TARGET, "/dial", port=str(outside.getsockname()[1])))
        with outside.accept()[0]:
            ask(edge, where("/file", name="{rootfs}"))
            pids = fly.machine(TARGET).pids
            assert len(pids) == 2
            fly.suspend(TARGET)
            assert {_status(each) for each in pids} == {"T"}
            assert ask(edge, replay(TO_TARGET, "/count")).body == b"2"
            assert fly.machine(TARGET).pids == pids
            assert ask(edge, replay(TO_TARGET, "/dialed")).body == b"broken"


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]


def test_item_14_a_resume_may_keep_the_sockets() -> None:
    """A switch."""
    unknowns = replace(CALM, resume_breaks_sockets=False)
    with pair(unknowns=unknowns) as fly, socket.create_server(("127.0.0.1", 0)) as outside:
        ask(fly.edge("iad"), replay(TO_TARGET, "/dial", port=str(outside.getsockname()[1])))
        with outside.accept()[0]:
            fly.suspend(TARGET)
            assert ask(fly.edge("iad"), replay(TO_TARGET, "/dialed")).body == b"open"


@pytest.mark.parametrize("by_chance", [False, True])
def test_item_14_a_resume_may_turn_out_cold(by_chance: bool) -> None:
    """Then only the volume is there."""
    unknowns = replace(CALM, cold_resume=1.0 if by_chance else 0.0)
    with pair(volume="data", unknowns=unknowns) as fly:
        edge, home = fly.edge("iad"), fly.machine(TARGET).home / "rootfs"
        volume = fly.machine(TARGET).volume
        ask(edge, replay(TO_TARGET, "/count"))
        (home / "scratch").write_text("x")
        (volume / "kept").write_text("y")
        fly.suspend(TARGET)
        if not by_chance:
            fly.do(lambda running: running.turn_cold(TARGET))
        assert ask(edge, replay(TO_TARGET, "/count")).body == b"1"
        assert not (home / "scratch").exists()
        assert (volume / "kept").read_text() == "y"


@pytest.mark.parametrize(
    ("config", "usual", "expected"),
    [
        ({}, "SIGINT", "SIGINT"),
        ({}, "SIGTERM", "SIGTERM"),
        ({"stop_config": {"signal": "SIGTERM"}}, "SIGINT", "SIGTERM"),
    ],
)
def test_item_15_a_stop_is_a_signal(config: dict[str, Any], usual: Any, expected: str) -> None:
    """The main process gets it, and suspending gives none."""
    unknowns = replace(CALM, kill_signal=usual)
    with pair(env={"TOLD": "{volume}/told"}, volume="data", config=config, unknowns=unknowns) as fly:
        told = fly.machine(TARGET).volume / "told"
        ask(fly.edge("iad"), replay(TO_TARGET))
        fly.suspend(TARGET)
        ask(fly.edge("iad"), replay(TO_TARGET))
        assert not told.exists()
        fly.stop(TARGET)
        assert told.read_text().split()[0] == expected


@pytest.mark.parametrize("after", ["SIGKILL", "SIGTERM"])
def test_item_15_after_the_grace_every_process_is_killed(after: Any) -> None:
    """Also those that the main process started, in sessions of their own."""
    env = {"TOLD": "{volume}/told", "STUBBORN": "1", "CHILD": "1"}
    config = {"stop_config": {"signal": "SIGINT", "timeout": "200ms"}}
    with pair(env=env, volume="data", config=config, unknowns=replace(CALM, after_grace=after)) as fly:
        ask(fly.edge("iad"), replay(TO_TARGET))
        pids = fly.machine(TARGET).pids
        began = time.monotonic()
        fly.stop(TARGET)
        assert time.monotonic() - began >= 0.2
        assert not [each for each in pids if os.path.exists(f"/proc/{each}")]
        signals = (fly.machine(TARGET).volume / "told").read_text().split()[::2]
        assert signals == ["SIGINT"] + ["SIGTERM"] * (after == "SIGTERM")


def test_item_15_a_stop_resets_the_files_that_are_not_in_the_volume() -> None:
    """And drops the memory of a machine that is suspended."""
    with pair(volume="data") as fly:
        ask(fly.edge("iad"), replay(TO_TARGET, "/count"))
        (fly.machine(TARGET).home / "rootfs/scratch").write_text("x")
        fly.suspend(TARGET)
        fly.stop(TARGET)
        assert fly.machine(TARGET).pids == []
        assert ask(fly.edge("iad"), replay(TO_TARGET, "/count")).body == b"1"
        assert not (fly.machine(TARGET).home / "rootfs/scratch").exists()


@pytest.mark.parametrize(("how", "expected"), [("stop", "stopped"), ("suspend", "suspended"), ("off", "started")])
def test_item_16_the_loop_puts_idle_machines_to_sleep_one_at_a_time(how: str, expected: str) -> None:
    """One of an app and region in a pass; never one that has a request, and none of its own accord."""
    targets = [machine("target", f"bb00000000000{each}", services=service(autostop=how)) for each in (1, 2, 3)]
    with fleet(*targets) as fly:
        stopped = [fly.autostop_pass() for _ in range(4)]
        assert [len(each) for each in stopped] == ([0] * 4 if how == "off" else [1, 1, 1, 0])
        for each in fly.fleet.registry.machines:
            fly.wait_state(each, expected)


def test_item_16_outbound_work_keeps_nobody_awake_and_inbound_does() -> None:
    """The only connections that count are those through the proxy."""
    with pair(services=service(autostop="suspend")) as fly, socket.create_server(("127.0.0.1", 0)) as outside:
        with socket.create_connection(("127.0.0.1", fly.edge("iad").ports[443]), 20) as sock:
            sock.sendall(f"GET {replay(TO_TARGET, wait='60')} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            wait_until(lambda: fly.machine(TARGET).load == 1, "load")
            assert fly.autostop_pass() == []
        wait_until(lambda: fly.machine(TARGET).load == 0, "no load")
        ask(fly.edge("iad"), replay(TO_TARGET, "/dial", port=str(outside.getsockname()[1])))
        with outside.accept()[0]:
            assert fly.autostop_pass() == [TARGET]


def test_item_16_websocket_clients_are_told_that_a_machine_leaves() -> None:
    """1001, when one of several connected machines is too much."""
    other = "bb000000000002"
    targets = [machine("target", each, services=service(autostop="suspend")) for each in (TARGET, other)]
    with fleet(machine("router", ROUTER), *targets) as fly, ExitStack() as stack:
        asked = [replay(f"app=target;instance={each}", ws="target") for each in (TARGET, other)]
        socks = [stack.enter_context(upgraded(fly.edge("iad"), each))[1] for each in asked]
        assert [exactly(each, 16)[2:].decode() for each in socks] == [TARGET, other]
        (gone,) = fly.autostop_pass()
        assert exactly(socks[[TARGET, other].index(gone)], 100) == b"\x88\x02\x03\xe9"


def test_item_32_many_first_requests_are_one_start() -> None:
    """All of them are answered by it."""
    with pair() as fly, ThreadPoolExecutor(12) as pool:
        fly.suspend(TARGET)
        before = fly.machine(TARGET).starts
        answers = list(pool.map(lambda _: ask(fly.edge("iad"), replay(TO_TARGET)), range(12)))

        assert {each.machine for each in answers} == {TARGET}
        assert fly.machine(TARGET).starts == before + 1


def test_item_36_a_migration_changes_the_address_and_the_volume() -> None:
    """Not the name, and not what is in the volume; the process gets its signal."""
    with pair(env={"TOLD": "{volume}/told"}, volume="data") as fly:
        ask(fly.edge("iad"), replay(TO_TARGET))
        target = fly.machine(TARGET)
        address, volume = target.identity.address, target.doc["mounts"][0]["volume"]
        (target.volume / "kept").write_text("y")
        fly.migrate(TARGET)
        answer = ask(fly.edge("iad"), replay(f"{TO_TARGET};instance={TARGET}"))

        assert answer.seen["env"]["FLY_PRIVATE_IP"] == target.identity.address != address
        assert target.doc["mounts"][0]["volume"] != volume
        assert (target.volume / "kept").read_text() == "y"
        assert (target.volume / "told").exists()


@pytest.mark.parametrize(
    ("policy", "code", "state"), [("no", 1, "stopped"), ("on-failure", 0, "stopped"), ("on-failure", 1, "started")]
)
def test_a_machine_ends_or_starts_again_as_its_policy_says(policy: str, code: int, state: str) -> None:
    """When its main process ends by itself."""
    script = f"if [ -e {{volume}}/ran ]; then exec sleep 60; fi; touch {{volume}}/ran; exit {code}"
    config = {"restart": {"policy": policy}, "init": {"exec": ["sh", "-c", script]}}
    spec = machine("target", TARGET, volume="data", config=config).model_copy(update={"command": ()})
    with fleet(spec) as fly:
        fly.wait_state(TARGET, state)
        wait_until(lambda: fly.machine(TARGET).starts == 1 + (state == "started"), "its starts")


def test_the_environment_is_that_of_a_machine_and_leads_to_the_simulator() -> None:
    """Names of the platform, and addresses of this one."""
    with pair(env={"OWN": "{address} {region} {json}"}) as fly:
        env = ask(fly.edge("iad"), replay(TO_TARGET)).seen["env"]
        address = fly.machine(TARGET).identity.address

        assert (env["FLY_APP_NAME"], env["FLY_MACHINE_ID"], env["FLY_ALLOC_ID"]) == ("target", TARGET, TARGET)
        assert (env["FLY_REGION"], env["PRIMARY_REGION"], env["FLY_PRIVATE_IP"]) == ("iad", "iad", address)
        assert env["OWN"] == f"{address} iad {{json}}"
        assert env["FLY_FLAPS_BASE_URL"] == fly.api
        assert Path(env["FLY_API_SOCKET"]).is_socket()
        assert env["FLY_RESOLVER"].startswith("127.0.0.1:")
