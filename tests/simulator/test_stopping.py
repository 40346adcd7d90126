"""Items 15, 16, 32 and 36: how machines stop, are put to sleep, and move; with real processes."""

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

from tests.simulator.fleets import (
    CALM,
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
            wait_until(lambda: fly.machine(TARGET).load == 0, "no load")  # answered is not yet let go
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
