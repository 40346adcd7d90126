"""Items 27 to 31: upgrades, steering, headers, HTTPS, limits; and what any proxy has to do."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import h11
import pytest

from simulator.description import EdgeSpec
from tests.simulator.fleets import (
    CALM,
    OTHER,
    PORT,
    QUICK,
    ROUTER,
    SPARE,
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

FRAME = b"\x82\x85mask" + b"\x05\x04\x1f\x07\x02"  # what a client might send; the application echoes bytes


def test_item_27_an_upgrade_is_replayed_by_not_taking_it() -> None:
    """The target's 101 reaches the client, and then bytes go both ways."""
    with fleet(machine("router", ROUTER), machine("target", TARGET)) as fly:
        with upgraded(fly.edge("iad"), replay("app=target", ws="target", status="307")) as (status, sock):
            assert (status, exactly(sock, 16)[2:]) == (101, TARGET.encode())
            sock.sendall(FRAME)
            assert exactly(sock, len(FRAME)) == FRAME
        wait_until(lambda: bool(fly.deliveries), "the end of the tunnel")
        assert [each.machine for each in fly.deliveries[0].hops] == [ROUTER, TARGET]


def test_item_27_who_takes_the_upgrade_keeps_it() -> None:
    """With a 101 there is no replay, whatever its headers say."""
    with fleet(machine("router", ROUTER), machine("target", TARGET)) as fly:
        with upgraded(fly.edge("iad"), replay("app=target", ws="router")) as (status, sock):
            assert (status, exactly(sock, 16)[2:]) == (101, ROUTER.encode())
        assert fly.machine(TARGET).starts == 1


def test_item_27_replays_of_upgrades_may_fail() -> None:
    """Some say so: a switch. Without a replay an upgrade works."""
    with fleet(
        machine("router", ROUTER), machine("target", TARGET), unknowns=replace(CALM, websocket_replay=False)
    ) as fly:
        with upgraded(fly.edge("iad"), replay("app=target", ws="target")) as (status, _):
            assert status == 502
        with upgraded(fly.edge("iad"), where("/", ws="router")) as (status, _):
            assert status == 101


def test_item_27_after_the_upgrade_nothing_is_tried_again() -> None:
    """When the machine goes, the client finds its connection closed."""
    own = machine("router", ROUTER), machine("router", OTHER)
    with fleet(*own) as fly, upgraded(fly.edge("iad"), where("/", ws="router")) as (_, sock):
        fly.crash(exactly(sock, 16)[2:].decode())
        assert _rest(sock) == b""


def _rest(sock: socket.socket) -> bytes:
    try:
        return exactly(sock, 1000)
    except ConnectionError:
        return b""


def test_item_28_steering_chooses_the_machine_before_anybody_is_asked() -> None:
    """Inside the addressed app."""
    with fleet(machine("router", ROUTER), machine("router", OTHER, "ams"), machine("target", TARGET)) as fly:
        edge = fly.edge("iad")
        for headers, expected in (
            ({"fly-force-instance-id": OTHER}, OTHER),
            ({"fly-prefer-instance-id": OTHER}, OTHER),
            ({"fly-force-region": "sjc, ams"}, OTHER),
            ({"fly-prefer-region": "ams"}, OTHER),
            ({"fly-prefer-region": "sjc"}, ROUTER),
        ):
            assert ask(edge, headers=headers).machine == expected
        missed = ask(edge, headers={"fly-prefer-instance-id": SPARE})
        assert (missed.machine, missed.header("fly-preferred-instance-unavailable")) == (ROUTER, SPARE)
        for forced in ({"fly-force-instance-id": TARGET}, {"fly-force-region": "sjc"}):
            assert ask(edge, headers=forced).status == 503


@pytest.mark.parametrize(("stays", "acts"), [(True, False), (False, False), (True, True)])
def test_item_28_a_hostile_client_steers_the_target_if_that_is_switched(stays: bool, acts: bool) -> None:
    """The headers stay on the replayed request, and in one mode they act."""
    unknowns = replace(CALM, steering_stays=stays, steering_acts_on_replay=acts)
    targets = machine("target", TARGET), machine("target", SPARE)
    with fleet(machine("router", ROUTER), *targets, unknowns=unknowns) as fly:
        hostile = {"fly-prefer-instance-id": SPARE}
        answer = ask(fly.edge("iad"), replay(f"app=target;instance={TARGET}"), headers=hostile)

        assert answer.header("fly-prefer-instance-id") == (SPARE if stays else "")
        forced = ask(fly.edge("iad"), replay("app=target"), headers=hostile)
        assert (forced.machine == SPARE) is acts


def test_item_29_the_proxy_adds_its_headers() -> None:
    """What a client says of itself is overwritten, except that its X-Forwarded-For stays on the left."""
    with fleet(machine("router", ROUTER)) as fly:
        forged = {"fly-client-ip": "6.6.6.6", "x-forwarded-for": "6.6.6.6", "fly-region": "xxx", "via": "1.1 mine"}
        answer = ask(fly.edge("ams"), headers=forged)

        assert answer.header("fly-client-ip") == "127.0.0.1"
        assert answer.header("x-forwarded-for") == "6.6.6.6, 127.0.0.1, 203.0.113.1"
        assert (answer.header("fly-region"), answer.header("fly-forwarded-port")) == ("ams", "443")
        assert (answer.header("x-forwarded-proto"), answer.header("via")) == ("https", "1.1 mine, 1.1 fly.io")
        assert answer.header("x-request-start").startswith("t=")
        assert answer.header("fly-request-id").endswith("-ams")
        assert answer.headers["fly-request-id"] == answer.header("fly-request-id")
        assert answer.headers["server"].startswith("Fly/")


def test_item_30_force_https_answers_before_anybody_is_asked() -> None:
    """Only at port 80; health checks are not proxied at all."""
    ports = [{"port": 80, "handlers": ["http"], "force_https": True}, {"port": 443, "handlers": ["tls", "http"]}]
    services = ({"internal_port": PORT, "autostart": True, "ports": ports},)
    with fleet(machine("router", ROUTER, services=services, start=False)) as fly:
        answer = ask(fly.edge("iad"), "/a?b", port=80)
        assert (answer.status, answer.headers["location"]) == (301, "https://example.test/a?b")
        assert fly.machine(ROUTER).starts == 0
        assert ask(fly.edge("iad"), "/a?b").machine == ROUTER


def test_item_31_a_soft_limit_spreads_and_a_hard_limit_waits() -> None:
    """At most so many at once in a machine, and all are served."""
    limits = {"concurrency": {"type": "requests", "soft_limit": 1, "hard_limit": 2}}
    own = [machine("router", each, services=service(443, **limits)) for each in (ROUTER, OTHER)]
    with fleet(*own, tempo=replace(QUICK, queue=20)) as fly, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(fly.edge("iad"), where("/", delay="0.2")), range(8)))

        assert [each.status for each in answers] == [200] * 8
        assert {each.machine for each in answers} == {ROUTER, OTHER}


def test_item_31_an_instance_at_its_hard_limit_fails_after_a_while() -> None:
    """It does not spill to another one."""
    limits = {"concurrency": {"soft_limit": 1, "hard_limit": 1}}
    targets = [machine("target", each, services=service(443, **limits)) for each in (TARGET, SPARE)]
    with fleet(machine("router", ROUTER), *targets) as fly:
        busy = replay(f"app=target;instance={TARGET}", wait="2")
        waiting = threading.Thread(target=ask, args=(fly.edge("iad"), busy))
        waiting.start()
        wait_until(lambda: fly.machine(TARGET).load == 1, "load")
        answer = ask(fly.edge("iad"), replay(f"app=target;instance={TARGET}"))
        assert (answer.status, fly.codes("target")) == (502, ["PL02"])
        waiting.join()


def test_a_port_without_the_http_handler_does_not_replay() -> None:
    """The header then reaches the client."""
    services = ({"internal_port": PORT, "autostart": True, "ports": [{"port": 443}]},)
    with fleet(machine("router", ROUTER, services=services), machine("target", TARGET)) as fly:
        answer = ask(fly.edge("iad"), replay("app=target"))
        assert (answer.machine, answer.headers["fly-replay"]) == (ROUTER, "app=target")


def test_a_client_keeps_its_connection_and_is_told_to_continue() -> None:
    """Several requests, one after the other, also after a replay and an error of the proxy."""
    targets = [("/", 200), (replay("app=target"), 200), (replay("what"), 502), ("/", 200)]
    with fleet(machine("router", ROUTER), machine("target", TARGET)) as fly:
        http = h11.Connection(h11.CLIENT)
        with socket.create_connection(("127.0.0.1", fly.edge("iad").ports[443]), 20) as sock:
            for target, status in targets:
                headers = [("host", "h"), ("content-length", "3"), ("expect", "100-continue")]
                sock.sendall(http.send(h11.Request(method="POST", target=target, headers=headers)) or b"")
                assert isinstance(_next(http, sock), h11.InformationalResponse)
                sock.sendall(http.send(h11.Data(b"abc")) or b"")
                http.send(h11.EndOfMessage())
                said = _next(http, sock)
                assert isinstance(said, h11.Response)
                assert said.status_code == status
                while not isinstance(_next(http, sock), h11.EndOfMessage):
                    pass
                http.start_next_cycle()


def _next(http: h11.Connection, sock: socket.socket) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(sock.recv(65_536))
    return event


def test_a_machine_that_does_not_answer_is_a_502() -> None:
    """PU02, and a request that makes no sense is a 400."""
    with fleet(machine("router", ROUTER)) as fly:
        assert ask(fly.edge("iad"), where("/", die="1")).status == 502
        assert fly.codes("router") == ["PU02"]
        with socket.create_connection(("127.0.0.1", fly.edge("iad").ports[443]), 20) as sock:
            sock.sendall(b"nonsense\r\n\r\n")
            assert b" 400 " in exactly(sock, 200)


def test_a_client_that_leaves_frees_its_machine() -> None:
    """At once, and not when the machine has an answer."""
    with fleet(machine("router", ROUTER)) as fly:
        with socket.create_connection(("127.0.0.1", fly.edge("iad").ports[443]), 20) as sock:
            sock.sendall(b"GET /?delay=60 HTTP/1.1\r\nHost: h\r\n\r\n")
            wait_until(lambda: fly.machine(ROUTER).load == 1, "load")
        began = time.monotonic()
        wait_until(lambda: fly.machine(ROUTER).load == 0, "no load")
        assert time.monotonic() - began < 10


def test_an_edge_may_have_a_port_that_was_chosen() -> None:
    """As in a file for the command line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with fleet(machine("router", ROUTER), edges=(EdgeSpec(region="nrt", ports={443: port}),)) as fly:
        assert fly.edge("nrt").url == f"http://127.0.0.1:{port}"
        assert ask(fly.edge("nrt")).machine == ROUTER
