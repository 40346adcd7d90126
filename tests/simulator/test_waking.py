"""Items 11 to 14: how machines wake and sleep; with real processes."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from simulator.running import Running
from tests.simulator.fleets import (
    CALM,
    PORT,
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


def test_item_11_some_starts_take_much_longer() -> None:
    """As often as that is wanted."""
    with pair(tempo=replace(QUICK, tail_chance=1.0, tail=0.5)) as fly:
        fly.suspend(TARGET)
        began = time.monotonic()
        ask(fly.edge("iad"), replay(TO_TARGET))
        assert time.monotonic() - began > 0.5


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
    with socket.create_connection((fly.machine(TARGET).identity.address, PORT), 20) as sock:
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
            pids = fly.machine(TARGET).pids
            assert len(pids) == 2
            fly.suspend(TARGET)
            assert {_status(each) for each in pids} == {"T"}
            assert ask(edge, replay(TO_TARGET, "/count")).body == b"2"
            assert fly.machine(TARGET).pids == pids
            wait_until(lambda: ask(edge, replay(TO_TARGET, "/dialed")).body == b"broken", "a broken connection")


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


@pytest.mark.parametrize("cuts", [True, False])
def test_item_14_what_is_open_when_a_machine_is_suspended(cuts: bool) -> None:
    """It is dropped, or it hangs until the machine goes on: a switch."""
    asked = replay(TO_TARGET, ws="target")
    unknowns = replace(CALM, suspend_cuts_connections=cuts)
    with pair(unknowns=unknowns) as fly, upgraded(fly.edge("iad"), asked) as (_, sock):
        exactly(sock, 16)
        fly.suspend(TARGET)
        if cuts:
            assert _until_closed(sock) == b""
        else:
            sock.sendall(b"later")
            fly.start(TARGET)
            assert exactly(sock, 5) == b"later"


def _until_closed(sock: socket.socket) -> bytes:
    try:
        return exactly(sock, 1000)
    except ConnectionError:
        return b""


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
