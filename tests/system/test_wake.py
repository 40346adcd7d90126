"""A tenant is started by its first request and stopped when nobody uses it."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.system.running import TWO_TENANTS, Atc, running, wait_until

pytestmark = pytest.mark.system

SHORT = TWO_TENANTS.replace("1h", "1s")


def test_two_hundred_requests_to_a_cold_tenant_make_one_start(atc: Atc) -> None:
    """Everybody waits for the same start and everybody is answered."""
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: atc.get("/a/x/"), range(200)))

    assert {200} == {status for status, _ in answers}
    assert atc.starts() == 1


def test_an_idle_tenant_sleeps_and_wakes() -> None:
    """After the idle time the process is gone; the next request starts another one."""
    with running(SHORT) as atc:
        pid = atc.pid("/a/x/")

        wait_until(lambda: not Path(f"/proc/{pid}").exists())

        assert atc.state("a/x") == "stopped"
        assert atc.pid("/a/x/") != pid


@pytest.mark.parametrize("order", ["start", "restart"])
def test_a_start_by_hand_is_a_use(order: str) -> None:
    """Of a tenant that nobody asked for longer than its idle time."""
    with running(TWO_TENANTS.replace("1h", "3s")) as atc:
        first = atc.pid("/a/x/")
        wait_until(lambda: not Path(f"/proc/{first}").exists())

        atc.cli(order, "a/x")
        began = time.monotonic()
        pid = atc.status()["tenants"][0]["pid"]
        wait_until(lambda: not Path(f"/proc/{pid}").exists())

        assert 2.5 < time.monotonic() - began < 8


def test_an_open_connection_keeps_a_tenant_awake() -> None:
    """A stream that says nothing for longer than the idle time is still a visitor."""
    with running(SHORT) as atc, closing(HTTPConnection("127.0.0.1", atc.port, timeout=30)) as connection:
        gate = atc.home / "gate"
        connection.request("GET", f"/a/x/events?count=2&gate={gate}")
        with connection.getresponse() as answer:
            assert answer.readline() == b"data: 0\n"
            other = atc.pid("/a/y/")

            wait_until(lambda: not Path(f"/proc/{other}").exists())
            began = time.monotonic()
            wait_until(lambda: time.monotonic() - began > 3)  # three times the idle time
            gate.touch()

            assert answer.read().endswith(b"data: 1\n\n")


def test_pinned_and_eager_tenants_are_up_before_anybody_asks() -> None:
    """`pin` stays up beyond the idle time, `start: eager` only begins up."""
    text = "idle: 1s\nusers: {a: {tenants: {x: {pin: true}, y: {start: eager}, z: {}}}}\n"
    with running(text) as atc:
        wait_until(lambda: atc.starts("a/x") == 1 and atc.starts("a/y") == 1)
        wait_until(lambda: atc.state("a/y") == "stopped")

        assert [atc.state(each) for each in ("a/x", "a/z")] == ["ready", "stopped"]


def test_a_request_while_it_stops_waits_and_wakes_it_again() -> None:
    """Bad timing refuses nobody: whoever asks during a stop is answered by the next process."""
    with running(SHORT) as atc:
        pids: set[int] = set()
        deadline = time.monotonic() + 60
        while len(pids) < 4:
            assert time.monotonic() < deadline
            pids.add(atc.pid("/a/x/"))
            wait_until(lambda: "tenant.draining" in atc.log().splitlines()[-1] or atc.state("a/x") != "ready")


def test_after_the_hold_browsers_see_a_waiting_page_and_programs_a_503() -> None:
    """Who waits for long is told so, each in the way it understands."""
    text = "users: {a: {tenants: {x: {env: {BOOT_SECONDS: '3'}}}}}\n"
    with running(text, server="hold: 200ms") as atc:
        page = atc.ask("/a/x/", headers={"Accept": "text/html"})
        plain = atc.ask("/a/x/", headers={"Accept": "application/json"})

        assert (page.status, plain.status) == (503, 503)
        assert b'http-equiv="refresh"' in page.body
        assert b"<html" not in plain.body
        assert b"<p>It is starting.</p>" in page.body
        assert plain.body == b"It is starting. Please ask again.\n"
        assert int(plain.headers["retry-after"]) >= 1
        wait_until(lambda: atc.get("/a/x/")[0] == 200)
        assert atc.starts() == 1


def test_a_waiting_page_of_the_owners_may_say_what_goes_on() -> None:
    """By one variable, wherever it likes."""
    text = "users: {a: {tenants: {x: {env: {BOOT_SECONDS: '3'}}}}}\n"
    with running(text, server="hold: 200ms, error_pages: {'503': wait.html}") as atc:
        (atc.home / "wait.html").write_text('<b>Wait. <!--# echo var="atc_said" --></b>')

        page = atc.ask("/a/x/", headers={"Accept": "text/html"})

        assert (page.status, page.text) == (503, "<b>Wait. It is starting.</b>")


def test_a_tenant_that_listens_on_a_port_is_served_like_any_other() -> None:
    """Its port is its own, in PORT, and the same after an edit; it sleeps and wakes."""
    with running(SHORT, arguments="--port ${port}") as atc:
        first, second = atc.ask("/a/x/environment"), atc.ask("/a/y/environment")
        pid = atc.pid("/a/x/")
        wait_until(lambda: not Path(f"/proc/{pid}").exists())
        atc.edit("y: {}", "b: {}, y: {}")
        wait_until(lambda: atc.get("/a/b/")[0] == 200)

        assert _port(first.text) != _port(second.text)
        assert _port(first.text) == _port(atc.ask("/a/x/environment").text)


def _port(text: str) -> str:
    return str(json.loads(text)["PORT"])


def test_a_path_of_nobody_is_not_its_parents(atc: Atc) -> None:
    """What no tenant owns is a 404, and the slash-less form of a tenant keeps its query."""
    redirect = atc.ask("/a/x?q=1")

    assert atc.get("/a/z/")[0] == 404
    assert atc.get("/a/xy")[0] == 404
    assert (redirect.status, redirect.headers["location"]) == (308, "/a/x/?q=1")


def test_a_client_that_leaves_gives_its_place_back() -> None:
    """Nobody who went away is counted as waiting."""
    text = "users: {a: {tenants: {x: {env: {BOOT_SECONDS: '5'}}}}}\n"
    with running(text) as atc:
        with closing(HTTPConnection("127.0.0.1", atc.port, timeout=30)) as connection:
            connection.request("GET", "/a/x/")
            wait_until(lambda: atc.status()["tenants"][0]["waiting"] == 1)

        wait_until(lambda: atc.status()["tenants"][0]["waiting"] == 0, 4)


def test_sigterm_ends_everything(atc: Atc) -> None:
    """Every process of atc and of its tenants is gone, and atc says that all was well."""
    pids = [atc.pid("/a/x/"), atc.pid("/a/y/"), atc.pid_of("atc-nginx"), atc.pid_of("atc-agent:0")]

    atc.process.send_signal(signal.SIGTERM)

    assert atc.process.wait(20) == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []
