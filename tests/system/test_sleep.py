"""A machine that nobody uses goes to sleep, and whoever comes in the meantime is served."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from atcgen.system.processes import runs
from tests.system.freezing import command, frozen, is_stable, processes
from tests.system.machines import Settings, world
from tests.system.platform import Platform, connected, platform
from tests.system.running import Atc, again, running, wait_until

pytestmark = pytest.mark.system

TENANTS = "users: {a: {tenants: {x: {}, y: {}}}}\n"
TEXT = f"idle: {{tenant: 1s, machine: 1s}}\n{TENANTS}"


@contextmanager
def machine(text: str = TEXT, server: str = "") -> Iterator[tuple[Atc, Platform]]:
    """One of a platform that can suspend it."""
    with platform() as made, running(text, server=server, environ=made.environ) as atc:
        yield atc, made


@contextmanager
def standing_still(atc: Atc) -> Iterator[None]:
    """Suspended, as far as a process can tell."""
    everything = frozen(atc.process.pid, str(atc.home))
    try:
        yield
    finally:
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def state(atc: Atc) -> str:
    """Of the machine."""
    return str(atc.status()["machine"]["state"])


def hooks(text: str) -> str:
    """An atc.yml with hooks of the server."""
    return f"{TEXT}hooks: {{server: {text}}}\n"


def test_an_idle_machine_asks_to_be_suspended_once() -> None:
    """After its tenant slept; and once more after somebody used it."""
    with machine() as (atc, fly):
        atc.pid("/a/x/")
        wait_until(lambda: fly.asked_for("suspend") == 1)

        assert atc.status()["machine"]["state"] == "asleep"
        assert fly.calls == ["/v1/apps/shows/machines/machine1/suspend"]
        assert is_stable(lambda: fly.asked_for("suspend") == 1, 3)
        assert atc.ask("/a/y/").status == 200
        wait_until(lambda: fly.asked_for("suspend") == 2)


def test_a_tenant_that_is_awake_keeps_it_awake() -> None:
    """Also one that is pinned; `atc status` says so."""
    with machine(TEXT.replace("x: {}", "x: {pin: true}")) as (atc, fly):
        wait_until(lambda: atc.state("a/x") == "ready")

        assert is_stable(lambda: not fly.calls, 3)
        assert "machine: awake, stays up: a/x is pinned" in atc.cli("status").stdout


def test_a_connection_keeps_it_awake_until_it_is_closed() -> None:
    """Somebody may be about to say something on it."""
    with machine() as (atc, fly):
        with closing(connected(atc.port)):
            assert is_stable(lambda: not fly.calls, 4)
        wait_until(lambda: fly.asked_for("suspend") == 1)


def test_health_checks_are_nobody() -> None:
    """Neither on connections of their own, nor on one that they would keep, nor while it sleeps."""
    with machine() as (atc, fly):
        done = threading.Event()

        def check() -> None:
            kept = HTTPConnection("127.0.0.1", atc.port, timeout=30)
            while not done.wait(0.05):
                kept.request("GET", "/up")
                assert kept.getresponse().read() == b"ok\n"
                assert atc.ask("/up").status == 200

        checking = threading.Thread(target=check)
        checking.start()
        try:
            wait_until(lambda: fly.asked_for("suspend") == 1)
            assert is_stable(lambda: state(atc) == "asleep", 2)
        finally:
            done.set()
            checking.join()


def test_refused_logins_are_nobody() -> None:
    """Somebody who tries passwords keeps no tenant awake, though he wakes it."""
    with running(TEXT.replace("tenant: 1s", "tenant: 3s")) as atc:
        atc.pid("/a/x/")
        done = threading.Event()

        def knock() -> None:
            while not done.wait(0.7):
                assert atc.ask("/a/x/refused").status == 401

        knocking = threading.Thread(target=knock)
        knocking.start()
        try:
            wait_until(lambda: "tenant.draining tenant=a/x" in atc.log(), 20)
        finally:
            done.set()
            knocking.join()


def test_a_request_while_idle_hooks_run_wins() -> None:
    """It is served at once; nothing is suspended, and the resume hooks follow the idle hooks."""
    text = hooks("{idle: ['touch idle; until [ -e go ]; do sleep 0.05; done'], resume: [touch resume]}")
    with machine(text) as (atc, fly):
        wait_until((atc.home / "idle").exists)
        assert atc.ask("/a/x/").status == 200
        assert not (atc.home / "resume").exists()
        (atc.home / "go").touch()
        wait_until((atc.home / "resume").exists)

        assert atc.state("a/x") == "ready"
        assert not fly.calls


def test_a_request_while_the_platform_thinks_wins() -> None:
    """It is served before the platform answers, and the order is taken back."""
    with machine() as (atc, fly):
        fly.may_answer.clear()
        wait_until(lambda: fly.asked_for("suspend") == 1)
        assert atc.ask("/a/x/").status == 200
        fly.may_answer.set()
        wait_until(lambda: fly.asked_for("start") == 1)

        assert fly.asked_for("suspend") == 1
        assert state(atc) == "awake"


@pytest.mark.parametrize("path", ["/a/x/", "/a/nobody/"])
def test_who_asks_while_it_stands_still_is_answered_after_the_resume_hooks(path: str) -> None:
    """The tenant, and what nginx answers itself."""
    with machine(hooks("{resume: [sleep 0.5; touch resume]}")) as (atc, fly):
        wait_until(lambda: fly.asked_for("suspend") == 1)
        with ThreadPoolExecutor(1) as pool:
            with standing_still(atc), closing(HTTPConnection("127.0.0.1", atc.port, timeout=30)) as kept:
                kept.request("GET", path)
                asked = pool.submit(atc.ask, path)
                assert is_stable(lambda: not asked.done(), 1)
            answer = asked.result(30)

        assert (atc.home / "resume").exists()
        assert answer.status == (200 if "x" in path else 404)


NEWS = """\
{resume: ['cp new.yml atc.yml; until grep -q nginx_reloaded=True .atc/logs/agent.log; do sleep 0.05; done']}"""


@contextmanager
def woken_to_news(old: str, new: str, server: str = "") -> Iterator[Atc]:
    """A machine that sleeps, and for which another atc.yml holds when it goes on."""
    with machine(hooks(NEWS).replace(TENANTS, old), server) as (atc, fly):
        (atc.home / "new.yml").write_text((atc.home / "atc.yml").read_text().replace(old, new))
        wait_until(lambda: fly.asked_for("suspend") == 1)
        yield atc


ONLY_X = "users: {a: {tenants: {x: {}}}}\n"
WITH_Z = "users: {a: {tenants: {x: {}, z: {app: {websocket: socket}}}}}\n"


def test_who_wakes_it_is_served_by_the_configuration_that_holds_then() -> None:
    """Fifty at once, with bodies of three megabytes among them: every one once, by a tenant that nginx did not know."""
    body = os.urandom(3 * 1024**2)
    said = f"{len(body)} {hashlib.sha256(body).hexdigest()}"
    with woken_to_news(ONLY_X, WITH_Z) as atc:

        def ask(number: int) -> tuple[int, str]:
            if number % 10:
                return atc.ask(f"/a/z/?{number}").status, ""
            answer = atc.ask("/a/z/", "POST", body, {"X-Number": str(number)})
            return answer.status, answer.text

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(ask, range(50)))

        assert {status for status, _ in answers} == {200}
        assert {text for _, text in answers} == {"", said}
        assert sorted(each.split()[0] for each in atc.notes()) == ["0", "10", "20", "30", "40"]
        assert atc.starts("a/z") == 1


def test_a_websocket_that_wakes_it_is_opened() -> None:
    """Through the gate, to a tenant that nginx did not know."""
    with woken_to_news(ONLY_X, WITH_Z) as atc, closing(connected(atc.port)) as sock:
        sock.sendall(
            b"GET /a/z/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        stream = sock.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 101")
        while stream.readline() != b"\r\n":
            pass
        sock.sendall(b"ping")
        assert stream.read(4) == b"ping"


def test_a_tenant_that_moved_while_it_slept_is_not_served_here() -> None:
    """The request is sent on to the machine that has it now."""
    with woken_to_news(ONLY_X, "users: {a: {tenants: {x: {instance: another}}}}\n") as atc:
        assert atc.ask("/a/x/").headers["fly-replay"] == "instance=another"
        assert atc.starts("a/x") == 0


@pytest.mark.parametrize("server", ["forward_headers: false", "forward_headers: true"])
def test_the_tenant_sees_who_asked(server: str) -> None:
    """A request that came through the gate has the same headers as any other."""
    headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.org"}
    with woken_to_news(ONLY_X, WITH_Z, server) as atc:
        first = atc.ask("/a/z/headers?q=%2F", headers=headers)
        second = atc.ask("/a/z/headers?q=%2F", headers=headers)

        def shown(text: str) -> list[str]:
            return [each for each in text.split(", ") if "x-request-id" not in each]

        assert first.status == 200
        assert shown(first.text) == shown(second.text)


def test_a_cold_start_needs_nothing_of_what_was() -> None:
    """The snapshot is gone, and only the disk is left."""
    with machine() as (atc, fly):
        wait_until(lambda: fly.asked_for("suspend") == 1)
        assert (atc.home / ".atc/run/asleep").exists()
        for pid in frozen(atc.process.pid, str(atc.home)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        atc.process.wait(30)
        with again(atc) as second:
            assert second.ask("/a/x/").status == 200
            assert second.ask("/a/nobody/").status == 404


def test_an_agent_that_is_killed_in_its_sleep_leaves_nobody_at_the_gate() -> None:
    """The next one goes on where it was."""
    with machine(hooks("{resume: [touch resume]}")) as (atc, fly):
        wait_until(lambda: fly.asked_for("suspend") == 1)
        os.kill(atc.pid_of("atc-agent:0"), signal.SIGKILL)

        assert atc.ask("/a/nobody/").status == 404
        assert atc.ask("/a/x/").status == 200
        assert (atc.home / "resume").exists()


def test_a_platform_that_fails_is_asked_again() -> None:
    """With pauses, and one line in the log; whoever comes meanwhile is served."""
    with machine() as (atc, fly):
        fly.status = 503
        wait_until(lambda: fly.asked_for("suspend") == 3)
        assert "503" in atc.status()["machine"]["problem"]
        assert atc.log().count("machine.does_not_sleep") == 1
        assert atc.ask("/a/x/").status == 200
        fly.status = 200
        wait_until(lambda: state(atc) == "asleep")


def test_a_machine_that_cannot_be_suspended_is_stopped() -> None:
    """And if it cannot ask for that either, it ends as if it had been told to."""
    with machine() as (atc, fly):
        fly.statuses = {"suspend": 412}
        wait_until(lambda: fly.asked_for("stop") == 1)
        assert fly.asked_for("suspend") == 2
        wait_until(lambda: state(atc) == "asleep")
    with machine() as (atc, fly):
        fly.status = 403
        assert atc.process.wait(60) == 0


def test_elsewhere_it_ends_when_it_shall_stop() -> None:
    """With exit status 0, which a platform may take for the end. Without being told to, it stays."""
    with running(TEXT.replace("machine: 1s", "machine: {after: 1s, then: stop}")) as atc:
        pid = atc.pid("/a/x/")
        assert atc.process.wait(30) == 0
        assert not runs(pid)
    with running(TEXT) as atc:
        assert is_stable(lambda: atc.process.poll() is None, 4)
        assert atc.status()["machine"]["why_not"] == "nothing puts it to sleep"


def test_it_never_sleeps_with_a_lease() -> None:
    """Nor with changes that are not in the store, however long it is away."""
    with platform() as fly:
        settings = Settings(idle="{tenant: 3s, machine: 1s}", environ=fly.environ)
        with world(settings) as made:
            seen: list[bool] = []
            fly.hears = lambda _: seen.append(made.is_released())
            made.a.start().wake()
            made.wait_until_published()
            assert made.a.add(1)
            with made.outage():
                wait_until(lambda: made.a.status()["state"] == "stopped", 60)
                assert is_stable(lambda: not fly.calls, 5)
            wait_until(lambda: fly.asked_for("suspend") > 0, 60)

            assert seen
            assert all(seen)


HOOKS = """\
hooks:
  server:
    start: [echo $ATC_EVENT >> EVENTS]
    ready: [echo $ATC_EVENT >> EVENTS]
    stop: [echo $ATC_EVENT >> EVENTS]
  tenant:
    start: [echo $ATC_EVENT $ATC_TENANT $OWNER >> EVENTS]
    ready:
      - echo $ATC_EVENT ${tenant.id} >> EVENTS
      - {run: "setsid sleep 61.25 & sleep 62.25", timeout: 300ms}
    stop:
      - {run: "if [ -e EVENTS.tried ]; then echo $ATC_EVENT >> EVENTS; else touch EVENTS.tried; exit 1; fi", retry: 1}
"""


def test_hooks_see_what_is_going_on(tmp_path: Path) -> None:
    """Each once, with its own environment, and in the time that it has."""
    events = tmp_path / "events"

    def said() -> list[str]:
        return events.read_text().splitlines() if events.exists() else []

    with running(TEXT + HOOKS.replace("EVENTS", str(events))) as atc:
        wait_until(lambda: said() == ["server.start", "server.ready"])
        os.kill(atc.pid_of("atc-agent:0"), signal.SIGKILL)
        wait_until(lambda: atc.log().count("agent.ready") == 2)
        assert atc.ask("/a/x/").status == 200
        wait_until(lambda: "took longer than 0.3 s" in atc.log())
        wait_until(lambda: said()[-1] == "tenant.stop")
        left = [each for pid in processes() for each in (command(pid),) if "61.25" in each or "62.25" in each]
        assert left == []
        assert "exit 1" in (atc.home / ".atc/logs/hooks/a.x.stop.log").read_text()
        assert atc.ask("/a/y/").status == 200

    # Those that are up when atc ends have their hooks, too.
    assert said()[:5] == ["server.start", "server.ready", "tenant.start a/x a/x", "tenant.ready a/x", "tenant.stop"]
    assert said()[5:7] == ["tenant.start a/y a/y", "tenant.ready a/y"]
    assert sorted(said()[7:]) == ["server.stop", "tenant.stop"]


def test_a_failed_start_hook_of_the_server_keeps_atc_from_starting(tmp_path: Path) -> None:
    """Nobody listens then, and the platform may try again."""
    (tmp_path / "atc.yml").write_text("app: {start: 'x ${socket}'}\nhooks: {server: {start: [echo no luck; exit 7]}}\n")
    done = subprocess.run(
        [sys.executable, "-m", "atcgen", "run"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 3
    assert "ended with 7" in done.stderr
    assert "no luck" in done.stderr


def test_a_failed_start_hook_fails_the_start() -> None:
    """People are told why; and it is tried again later."""
    text = f"{TEXT}hooks: {{tenant: {{start: ['echo no luck; [ -e ok ]']}}}}\n"
    with running(text.replace("[ -e ok ]", "[ -e ${tenant.dir}/ok ]")) as atc:
        assert atc.ask("/a/x/").status == 503
        reason = next(each["reason"] for each in atc.status()["tenants"] if each["id"] == "a/x")
        assert "hook start" in reason
        assert "no luck" in reason
        assert atc.starts() == 0
        (atc.home / "data/a.x/ok").touch()
        wait_until(lambda: atc.ask("/a/x/").status == 200)
