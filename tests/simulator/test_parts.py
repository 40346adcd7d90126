"""The small pure parts: limits, scope, headers, steering, frames, sockets, names, leases, configurations, autostop."""

from __future__ import annotations

import random
from typing import Literal

import pytest
from websockets.frames import Frame, Opcode

from simulator.api.leases import Held, Leases
from simulator.autostop import Running, unneeded
from simulator.config import BadConfig, Restart, command, read_config, seconds
from simulator.frames import GOING_AWAY, Boundary
from simulator.headers import Arrival, Request, replay_failed, replay_source, transformed, ulid, with_arrival
from simulator.history import History
from simulator.lifecycle import State
from simulator.limits import READING_ONE, USUAL, Limits
from simulator.names import Host, addresses, texts
from simulator.replay import Transform
from simulator.restarts import Restarts
from simulator.scope import Borders, Place, refusal
from simulator.sockets import Connection, outgoing, parse
from simulator.steering import Steering, steering
from simulator.unknowns import Tempo, Unknowns
from tests.simulator.test_caches import Clock

Policy = Literal["no", "always", "on-failure"]
HOSTS = [
    Host("a", "app", "iad", "127.1.1.1", True, {"owner": "me"}),
    Host("b", "app", "ams", "127.1.1.2", True),
    Host("c", "app", "ams", "127.1.1.3", False),
    Host("d", "else", "iad", "127.1.1.4", True, {"fly_process_group": "web"}),
]


def test_a_rate_has_a_burst_and_comes_back() -> None:
    """By action and by what it is about."""
    clock = Clock()
    limits = Limits(clock)

    assert [limits.admit(("start", "a"), USUAL) for _ in range(4)] == [True, True, True, False]
    assert limits.admit(("start", "b"), USUAL)
    clock.now = 1
    assert [limits.admit(("start", "a"), USUAL) for _ in range(2)] == [True, False]
    assert [limits.admit("get", READING_ONE) for _ in range(11)] == [True] * 10 + [False]


def test_borders_are_closed_unless_opened() -> None:
    """Networks by the org that has them, orgs by the one that receives."""
    one, two, away = Place("r", "us", "default"), Place("t", "us", "own"), Place("x", "them", "default")

    assert refusal(one, Place("t", "us", "default"), Borders()) is None
    assert refusal(one, two, Borders()) == ("network", "cross-network replays are not allowed")
    assert refusal(one, two, Borders(cross_network=frozenset({"us"}))) is None
    no = refusal(one, away, Borders(cross_network=frozenset({"us", "them"})))
    assert no
    assert no[0] == "PA05"
    assert refusal(one, away, Borders(sources=frozenset({("them", "us")}))) is None
    assert refusal(away, one, Borders(sources=frozenset({("them", "us")})))


def test_the_headers_of_the_proxy_replace_those_of_a_client() -> None:
    """Except that X-Forwarded-For grows."""
    said = (("x-forwarded-for", "6.6.6.6"), ("fly-client-ip", "6.6.6.6"), ("host", "h"), ("fly-region", "xxx"))
    arrival = Arrival("iad", 443, "1.2.3.4", "9.9.9.9", "ID-iad", 1.5)
    headers = with_arrival(Request("GET", "/", said), arrival).headers
    found = dict(headers)

    assert len(found) == len(headers)
    assert (found["fly-client-ip"], found["fly-region"], found["fly-forwarded-port"]) == ("1.2.3.4", "iad", "443")
    assert found["x-forwarded-for"] == "6.6.6.6, 1.2.3.4, 9.9.9.9"
    assert (found["x-forwarded-proto"], found["x-request-start"]) == ("https", "t=1500000")
    assert (found["via"], found["fly-request-id"]) == ("1.1 fly.io", "ID-iad")


def test_a_transform_changes_path_and_headers() -> None:
    """It overwrites a name, and leaves the rest."""
    request = Request("GET", "/a?b", (("x", "1"), ("y", "2"), ("z", "3")))
    after = transformed(request, Transform("/c?d", ("x",), (("y", "4"),)))

    assert (after.target, after.headers) == ("/c?d", (("z", "3"), ("y", "4")))
    assert transformed(request, None) is request


def test_what_the_target_and_the_emitter_are_told() -> None:
    """As in the documentation."""
    assert replay_source("i", "iad", 1.5, "") == "instance=i;region=iad;t=1500000"
    assert replay_source("i", "iad", 1.5, "s").endswith(";state=s")
    told = replay_failed(instance="", app="t", region="iad", source="i", reason="timeout", elapsed=0.25)
    assert told == "instance=;app=t;region=iad;replay_source=i;reason=timeout;elapsed_ms=250"
    assert len(ulid(1e9, random.Random(1))) == 26


def test_steering_forces_and_prefers() -> None:
    """A preference goes on to any region; an unknown header says nothing."""
    assert steering([("fly-force-region", "iad, ord")]) == Steering(("iad", "ord"))
    assert steering([("fly-prefer-region", "iad")]) == Steering(("iad", "any"))
    both = [("fly-force-instance-id", "a"), ("fly-prefer-instance-id", "b")]
    assert steering(both) == Steering(instance="a")
    assert steering([("fly-region", "iad")]) == Steering()


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("mask", [False, True])
def test_a_boundary_is_where_a_frame_ends(size: int, mask: bool) -> None:
    """However the bytes come."""
    frame = Frame(Opcode.BINARY, b"x" * size).serialize(mask=mask)
    boundary = Boundary()

    assert boundary.feed(frame + frame[:1]) == len(frame)
    assert not boundary.is_between
    for at in range(1, min(len(frame), 20)):
        boundary.feed(frame[at : at + 1])
    boundary.feed(frame[min(len(frame), 20) :])
    assert boundary.is_between
    assert GOING_AWAY == b"\x88\x02\x03\xe9"


def test_only_connections_to_outside_are_outgoing() -> None:
    """Neither what a machine accepted, nor what goes on inside it."""
    rows = [
        "0: 0100007F:1F90 00000000:0000 0A 0:0 0:0 0 0 0 1 x",
        "1: 0100007F:1F90 0100007F:AAAA 01 0:0 0:0 0 0 0 2 x",
        "2: 0100007F:BBBB 0100007F:0050 01 0:0 0:0 0 0 0 3 x",
        "3: 0100007F:CCCC 0100007F:DDDD 01 0:0 0:0 0 0 0 4 x",
        "4: 0100007F:DDDD 0100007F:CCCC 01 0:0 0:0 0 0 0 5 x",
        "5: 0100007F:EEEE 0100007F:0050 01 0:0 0:0 0 0 0 6 x",
    ]
    found = outgoing(parse("\n".join(["head", *rows])), {"1", "2", "3", "4", "5"})

    assert found == [Connection("0100007F:BBBB", "0100007F:0050", "01", "3")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.vm.app.internal", "1"),
        ("c.vm.app.internal", ""),
        ("a.vm.else.internal", ""),
        ("app.internal", "12"),
        ("global.app.internal", "12"),
        ("ams.app.internal", "2"),
        ("top1.nearest.of.app.internal", "2"),
        ("top9.nearest.of.app.internal", "21"),
        ("web.process.else.internal", "4"),
        ("me.owner.kv._metadata.app.internal", "1"),
        ("nobody.internal", ""),
        ("example.com", ""),
    ],
)
def test_names_lead_to_machines_that_are_started(name: str, expected: str) -> None:
    """As somebody in Amsterdam asks."""
    assert "".join(each[-1] for each in addresses(name, HOSTS, "ams")) == expected


def test_texts_list_what_there_is() -> None:
    """All of them, or only those that are started."""
    assert texts("vms.app.internal", HOSTS) == ["a iad,b ams"]
    assert texts("all.vms.app.internal", HOSTS) == ["a iad,b ams,c ams"]
    assert texts("regions.app.internal", HOSTS) == ["ams,iad"]
    assert texts("_apps.internal", HOSTS) == ["app,else"]
    assert len(texts("all._instances.internal", HOSTS)) == 4
    assert len(texts("_instances.internal", HOSTS)) == 3
    assert texts("x.internal", HOSTS) == []
    assert addresses("_api.internal", [], "iad") == ["127.0.0.1"]


def test_a_lease_keeps_others_out_for_a_while() -> None:
    """Who has it may have it longer."""
    clock = Clock()
    leases = Leases(clock, random.Random(1))
    lease = leases.take("m", "", 10, "")

    with pytest.raises(Held):
        leases.check("m", "other")
    assert leases.take("m", lease.nonce, 20, "").nonce == lease.nonce
    clock.now = 19
    with pytest.raises(Held):
        leases.take("m", "", 1, "")
    clock.now = 20
    leases.check("m", "")
    assert leases.take("m", "", 10, "").nonce != lease.nonce
    with pytest.raises(Held):
        leases.release("m", "")


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        ([], ""),
        ([Running("a", 0, 5, True)], "a"),
        ([Running("a", 1, 5, True)], ""),
        ([Running("a", 0, 5, False)], ""),
        ([Running("a", 0, 5, True, least=1)], ""),
        ([Running("a", 2, 5, True), Running("b", 1, 5, True)], "b"),
        ([Running("a", 6, 5, True), Running("b", 1, 5, True)], ""),
        ([Running("a", 6, 5, True), Running("b", 1, 5, True), Running("c", 0, 5, True)], "c"),
    ],
)
def test_a_pass_stops_what_is_too_much(running: list[Running], expected: str) -> None:
    """One, and none that is busy alone."""
    assert unneeded(running) == expected


def test_a_configuration_has_defaults() -> None:
    """And durations in either spelling."""
    config = read_config({"image": "i", "services": [{"ports": [{"port": 443}], "autostop": True}]})

    assert config.stop_signal(Unknowns()).name == "SIGINT"
    assert (config.stop_config.timeout, config.restart.policy, config.services[0].autostop) == (5, "on-failure", "stop")
    assert config.service(443)
    assert not config.service(80)
    assert config.can_suspend
    assert [seconds(each) for each in ("10s", "500ms", 2_000_000_000)] == [10, 0.5, 2]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"image": "i", "env": {"FLY_X": "1"}},
        {"image": "i", "stop_config": {"signal": "SIGNAL"}},
        {"image": "i", "stop_config": {"timeout": "soon"}},
        {"image": "i", "mounts": [{"volume": "a"}, {"volume": "b"}]},
        None,
    ],
)
def test_a_bad_configuration_is_refused(said: object) -> None:
    """With a word."""
    with pytest.raises(BadConfig):
        read_config(said)


def test_the_command_is_that_of_the_machine_or_of_its_image() -> None:
    """By digest or without."""
    images: dict[str, tuple[str, ...]] = {"app": ("serve",)}

    assert command(read_config({"image": "x", "init": {"exec": ["run"]}}), images) == ("run",)
    assert command(read_config({"image": "app@sha256:1", "init": {"cmd": ["-v"]}}), images) == ("serve", "-v")
    assert command(read_config({"image": "app", "init": {"entrypoint": ["sh"]}}), images) == ("sh",)
    with pytest.raises(BadConfig):
        command(read_config({"image": "unknown"}), images)


def test_a_tempo_is_scaled_and_a_calm_world_has_no_chance() -> None:
    """Counts stay."""
    assert (Tempo().scaled(0.5).boot, Tempo().scaled(0.5).connect_tries) == (0.75, 90)
    assert (Unknowns().calm().cache_drop, Unknowns().calm().cold_resume) == (0, 0)


@pytest.mark.parametrize(
    ("policy", "status", "expected"),
    [("no", 1, False), ("always", 0, True), ("on-failure", 0, False), ("on-failure", 1, True)],
)
def test_a_policy_says_who_is_started_again(
    policy: Literal["no", "always", "on-failure"], status: int, expected: bool
) -> None:
    """Up to a number of times in five minutes."""
    restarts, restart = Restarts(), Restart(policy=policy, max_retries=2)

    assert [restarts.wanted(restart, status, now) for now in (0, 1, 2, 400)] == [expected, expected, False, expected]


def test_a_history_says_what_was() -> None:
    """And whether it was asleep."""
    clock = Clock()
    history = History(clock)
    for clock.now, state in ((1, State.STARTED), (2, State.STOPPED), (3, State.STARTED)):
        history.note(state)

    assert [history.at(each) for each in (0, 1.5, 2, 9)] == ["created", "started", "stopped", "started"]
    assert (history.slept_within(1.5), history.slept_within(0.5)) == (True, False)
    history.forget()
    assert history.at(0) == "started"
