"""Items 34 and 35: the Machines API."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest

from simulator.api.calls import Injection
from simulator.running import Running
from tests.simulator.fleets import CALM, QUICK, ROUTER, SPARE, TARGET, UPSTREAM, ask, fleet, machine, replay, wait_until

UNLIMITED = replace(CALM, rate_limits=False)
CONFIG = {"image": "registry/app@sha256:1"}
IMAGES = {"registry/app": UPSTREAM}
SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(60)")


class Api:
    """A client."""

    def __init__(self, fly: Running, token: str = "", path: str = "") -> None:
        self._address = urlsplit(fly.api).netloc
        self._token = token or fly.token
        self._socket = path

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the document of an answer; 0 when there is none."""
        connection = http.client.HTTPConnection(self._address, timeout=30)
        if self._socket:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(self._socket)
        said = {"authorization": f"Bearer {self._token}"} if not self._socket else {}
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, f"/v1{path}", json.dumps(body) if body is not None else None, said)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        except (ConnectionError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()


@contextmanager
def api(*machines: Any, **more: Any) -> Iterator[tuple[Running, Api]]:
    """A fleet, and a client of its API."""
    with fleet(*machines, **({"unknowns": UNLIMITED, "images": IMAGES} | more)) as fly:
        yield fly, Api(fly)


def test_item_34_an_app_with_a_volume_and_a_machine_is_made_and_deleted() -> None:
    """In the order that is recommended."""
    with api() as (fly, call):
        assert call("POST", "/apps", {"app_name": "user-1", "org_slug": "personal", "network": "own"})[0] == 201
        assert call("GET", "/apps/user-1")[1]["network"] == "own"
        assert [each["name"] for each in call("GET", "/apps?org_slug=personal")[1]["apps"]][-1] == "user-1"
        status, volume = call("POST", "/apps/user-1/volumes", {"name": "data", "region": "ams", "size_gb": 1})
        assert (status, volume["size_gb"]) == (200, 1)
        config = {**CONFIG, "mounts": [{"volume": volume["id"], "path": "/data"}]}
        status, made = call("POST", "/apps/user-1/machines", {"name": "m", "region": "ams", "config": config})
        assert (status, made["region"], made["config"]["image"]) == (200, "ams", CONFIG["image"])
        one = f"/apps/user-1/machines/{made['id']}"
        assert call("GET", f"{one}/wait?state=started&timeout=20") == (200, {"ok": True})
        assert call("GET", one)[1]["state"] == "started"
        assert call("GET", "/apps/user-1/volumes")[1][0]["attached_machine_id"] == made["id"]
        assert call("DELETE", "/apps/user-1?force=true")[0] == 202
        assert call("GET", "/apps/user-1")[0] == 404
        assert fly.fleet.registry.volumes == {}


def test_item_34_names_are_unique_and_tokens_are_asked_for() -> None:
    """422, 401, 403, 404."""
    with api(machine("target", TARGET)) as (fly, call):
        assert call("POST", "/apps", {"app_name": "target", "org_slug": "x"}) == (
            422,
            {"error": "Name has already been taken", "status": "name_taken"},
        )
        assert call("POST", "/apps", {"app_name": "x"})[0] == 400
        assert call("POST", "/apps", [])[0] == 400
        assert Api(fly, "wrong")("GET", "/apps/target")[0] == 401
        own = Api(fly, fly.fleet.flaps.app_token("target"))
        assert own("GET", "/apps/target")[0] == 200
        assert own("GET", "/apps/router")[0] == 403
        assert own("POST", "/apps", {"app_name": "x", "org_slug": "x"})[0] == 403
        assert call("GET", "/apps/target/machines/nothing")[0] == 404
        assert call("GET", f"/apps/router/machines/{TARGET}")[0] == 404
        assert call("GET", "/nothing")[0] == 404


def test_item_34_a_machine_is_started_stopped_suspended_and_destroyed() -> None:
    """Suspending is told before it is done; a wait that is too long is a 408."""
    with api(machine("target", TARGET), tempo=replace(QUICK, suspend=0.3)) as (fly, call):
        one = f"/apps/target/machines/{TARGET}"
        version = call("GET", one)[1]["instance_id"]
        assert call("POST", f"{one}/suspend") == (200, {"ok": True})
        assert call("GET", one)[1]["state"] == "suspending"
        assert call("GET", f"{one}/wait?state=stopped&instance_id={version}&timeout=0.1")[0] == 408
        assert call("GET", f"{one}/wait?state=suspended")[0] == 200
        assert call("POST", f"{one}/start")[1]["previous_state"] == "suspended"
        assert call("GET", f"{one}/wait")[0] == 200
        assert call("POST", f"{one}/start")[1]["previous_state"] == "started"
        assert call("GET", f"{one}/wait?state=stopped")[0] == 400
        assert call("POST", f"{one}/stop", {"signal": "SIGTERM", "timeout": "1s"})[0] == 200
        assert call("GET", f"{one}/wait?state=stopped&instance_id={version}")[0] == 200
        assert call("POST", f"{one}/suspend")[0] == 412
        call("POST", f"{one}/start")
        call("GET", f"{one}/wait")
        assert call("DELETE", one)[0] == 412
        assert call("DELETE", f"{one}?force=true")[0] == 200
        assert call("GET", one)[1]["state"] == "destroyed"
        assert call("POST", f"{one}/start")[0] == 404
        assert call("GET", "/apps/target/machines")[1] == []
        assert len(call("GET", "/apps/target/machines?include_deleted=true")[1]) == 1
        assert fly.machine(TARGET).pids == []


def test_item_34_events_are_the_newest_twenty() -> None:
    """With who asked for them."""
    with api(machine("target", TARGET)) as (fly, call):
        for _ in range(8):
            fly.stop(TARGET)
            fly.start(TARGET)
        _, events = call("GET", f"/apps/target/machines/{TARGET}/events")
        assert len(events) == 20
        assert (events[0]["type"], events[0]["status"], events[0]["source"]) == ("start", "started", "user")


def test_item_34_rates_are_limited_by_action_and_machine() -> None:
    """Three at once, then one a second; more for reading one machine."""
    with api(machine("target", TARGET), machine("target", SPARE), unknowns=CALM) as (_, call):
        one = f"/apps/target/machines/{TARGET}"
        assert [call("GET", f"{one}/metadata")[0] for _ in range(4)] == [200, 200, 200, 429]
        assert call("GET", f"/apps/target/machines/{SPARE}/metadata")[0] == 200
        assert call("GET", f"{one}/events")[0] == 200
        assert [call("GET", one)[0] for _ in range(10)] == [200] * 10
        wait_until(lambda: call("GET", f"{one}/metadata")[0] == 200, "the next second")


def test_item_34_a_lease_keeps_others_out() -> None:
    """409 without its nonce, until it is released."""
    with api(machine("target", TARGET)) as (_, call):
        one = f"/apps/target/machines/{TARGET}"
        assert call("GET", f"{one}/lease")[0] == 404
        status, lease = call("POST", f"{one}/lease", {"ttl": 30, "description": "apply"})
        nonce = lease["data"]["nonce"]
        assert (status, call("GET", f"{one}/lease")[1]["data"]["description"]) == (201, "apply")
        for method, path in (("POST", "/stop"), ("POST", "/lease"), ("DELETE", ""), ("POST", "/metadata/a")):
            assert call(method, one + path, {})[0] == 409
        assert call("POST", f"{one}/metadata/a", {"value": "1"}, fly_machine_lease_nonce=nonce)[0] == 204
        assert call("DELETE", f"{one}/lease")[0] == 409
        assert call("DELETE", f"{one}/lease", fly_machine_lease_nonce=nonce)[0] == 200
        assert call("POST", f"{one}/cordon")[0] == 200


def test_item_34_metadata_is_changed_without_a_restart() -> None:
    """And finds machines in a list."""
    with api(machine("target", TARGET), machine("target", SPARE, "ams")) as (fly, call):
        one = f"/apps/target/machines/{TARGET}"
        assert call("POST", f"{one}/metadata/user", {"value": "bellevue"})[0] == 204
        assert call("GET", f"{one}/metadata")[1] == {"user": "bellevue"}
        assert call("GET", one)[1]["config"]["metadata"] == {"user": "bellevue"}
        found = call("GET", "/apps/target/machines?metadata.user=bellevue")[1]
        assert [each["id"] for each in found] == [TARGET]
        assert [each["id"] for each in call("GET", "/apps/target/machines?region=ams")[1]] == [SPARE]
        assert call("DELETE", f"{one}/metadata/user")[0] == 204
        assert call("GET", f"{one}/metadata")[1] == {}
        assert fly.machine(TARGET).starts == 1


def test_item_34_a_region_may_have_no_room() -> None:
    """The next one of a list is taken; a place in it is used up."""
    with api() as (fly, call):
        fly.do(lambda running: running.flaps.capacity.update(sjc=1))
        body = {"region": "sjc", "config": {"image": "x", "init": {"exec": SLEEPER}}}
        assert call("POST", "/apps/target/machines", body)[0] == 200
        status, said = call("POST", "/apps/target/machines", body)
        assert (status, said["status"]) == (422, "insufficient_capacity")
        assert call("POST", "/apps/target/machines", body | {"region": "sjc,lax"})[1]["region"] == "lax"
        assert call("POST", "/apps/target/machines", body | {"region": "eu"})[0] == 200
        assert call("POST", "/apps/target/machines", body | {"region": "mars"})[0] == 400
        regions = call("GET", "/platform/regions")[1]["Regions"]
        assert {each["code"]: each["capacity"] for each in regions}["sjc"] == 0


def test_item_34_volumes_grow_and_want_a_zone_of_their_own() -> None:
    """They never shrink, and one that is in use is not deleted."""
    with api(unknowns=replace(UNLIMITED, zones_per_region=1)) as (_, call):
        all_volumes = "/apps/target/volumes"
        _, made = call("POST", all_volumes, {"name": "data", "region": "ams", "size_gb": 1})
        again = {"name": "data", "region": "ams"}
        assert call("POST", all_volumes, again)[1]["status"] == "insufficient_capacity"
        assert call("POST", all_volumes, again | {"require_unique_zone": False})[1]["size_gb"] == 3
        one = f"{all_volumes}/{made['id']}"
        assert call("PUT", f"{one}/extend", {"size_gb": 5})[1]["volume"]["size_gb"] == 5
        assert call("PUT", f"{one}/extend", {"size_gb": 4})[0] == 400
        config = {"image": "x", "init": {"exec": SLEEPER}, "mounts": [{"volume": made["id"], "path": "/d"}]}
        wrong = {"region": "iad", "config": config}
        assert call("POST", "/apps/target/machines", wrong)[0] == 422
        status, user = call("POST", "/apps/target/machines", wrong | {"region": "ams"})
        assert status == 200
        assert call("POST", "/apps/target/machines", wrong | {"region": "ams"})[0] == 422
        assert call("DELETE", one)[0] == 412
        call("DELETE", f"/apps/target/machines/{user['id']}?force=true")
        assert call("DELETE", one)[0] == 200
        assert call("GET", one)[0] == 404


def test_item_34_only_whole_configurations_are_taken() -> None:
    """And only of images that the simulator knows a command for."""
    with api(machine("target", TARGET)) as (_, call):
        one = f"/apps/target/machines/{TARGET}"
        for config in ({}, {"env": {"A": "1"}}, {"image": "unknown"}, {"image": "x", "env": {"FLY_A": "1"}}):
            assert call("POST", one, {"config": config})[0] == 400
            assert call("POST", "/apps/target/machines", {"config": config})[0] == 400
        assert call("POST", one, {"config": CONFIG, "region": "ams"})[0] == 400
        assert call("POST", one, {"config": CONFIG, "current_version": "other"})[0] == 409


def test_item_34_the_socket_of_a_machine_suspends_it_and_nothing_else() -> None:
    """Without a token; a switch for more."""
    with api(machine("target", TARGET), machine("target", SPARE)) as (fly, _):
        own = Api(fly, path=str(fly.machine(TARGET).identity.api_socket))
        for method, path in (("GET", TARGET), ("POST", f"{TARGET}/stop"), ("POST", f"{SPARE}/suspend")):
            assert own(method, f"/apps/target/machines/{path}")[0] == 403
        assert own("POST", f"/apps/target/machines/{TARGET}/suspend")[0] == 200
        fly.wait_state(TARGET, "suspended")
    with api(machine("target", TARGET), unknowns=replace(UNLIMITED, socket_allows=frozenset({"get_machine"}))) as (
        fly,
        _,
    ):
        own = Api(fly, path=str(fly.machine(TARGET).identity.api_socket))
        assert own("GET", f"/apps/target/machines/{TARGET}")[0] == 200
        assert own("POST", f"/apps/target/machines/{TARGET}/suspend")[0] == 403


@pytest.mark.parametrize(("when", "exists"), [("before", False), ("after", True)])
@pytest.mark.parametrize("status", [0, 500])
def test_item_34_a_call_can_fail_before_or_after_its_effect(when: Any, exists: bool, status: int) -> None:
    """With an answer or without; a hook may kill the client at that moment."""
    with api() as (fly, call):
        hooked: list[str] = []
        fly.inject(Injection(2, when, status, lambda: hooked.append(when)))
        assert call("GET", "/apps/router")[0] == 200
        assert call("POST", "/apps", {"app_name": "new", "org_slug": "personal"})[0] == status
        assert call("GET", "/apps/new")[0] == (200 if exists else 404)
        assert hooked == [when]
        calls = fly.fleet.flaps.calls
        assert [(each.number, each.status) for each in calls.seen][:2] == [(1, 200), (2, status)]
        fly.do(lambda running: running.flaps.calls.reset())
        assert calls.seen == []


def test_item_34_addresses_are_given_and_taken() -> None:
    """An app without one is not reached from outside (item 10)."""
    with api(machine("target", TARGET)) as (fly, call):
        edge, host = fly.edge("iad"), {"host": "target.fly.dev"}
        assert ask(edge, headers=host).status == 0
        _, given = call("POST", "/apps/target/ip_assignments", {"type": "shared_v4"})
        assert ask(edge, headers=host).machine == TARGET
        assert call("GET", "/apps/target/ip_assignments")[1]["ips"][0]["ip"] == given["ip"]
        assert call("DELETE", f"/apps/target/ip_assignments/{given['ip']}")[0] == 204
        assert ask(edge, headers=host).status == 0


def test_item_35_an_update_restarts_a_machine_and_voids_its_memory() -> None:
    """The old one is down before the new one comes; one that sleeps may stay asleep."""
    with api(machine("router", ROUTER), machine("target", TARGET, volume="data")) as (fly, call):
        one, edge = f"/apps/target/machines/{TARGET}", fly.edge("iad")
        ask(edge, replay("app=target", "/count"))
        _, before = call("GET", one)
        pids = fly.machine(TARGET).pids
        config = before["config"] | {"env": before["config"]["env"] | {"NEW": "1"}}
        _, after = call("POST", one, {"config": config, "current_version": before["instance_id"]})
        assert after["instance_id"] != before["instance_id"]
        assert ask(edge, replay("app=target")).seen["env"]["NEW"] == "1"
        assert not set(pids) & set(fly.machine(TARGET).pids)
        assert ask(edge, replay("app=target", "/count")).body == b"1"
        fly.suspend(TARGET)
        assert call("POST", one, {"config": config, "skip_launch": True})[1]["state"] == "stopped"
        assert fly.machine(TARGET).pids == []
        assert ask(edge, replay("app=target", "/count")).body == b"1"
        call("POST", f"{one}/restart")
        assert ask(edge, replay("app=target", "/count")).body == b"1"
