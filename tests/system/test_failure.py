"""What breaks: processes that are killed, starts that fail, steps that hang."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.system.clients import Hammering
from tests.system.running import Atc, again, running, wait_until

pytestmark = pytest.mark.system


def test_a_killed_process_is_replaced_by_the_next_request(atc: Atc) -> None:
    """Nobody sees a 502 because a process died between two requests."""
    before = atc.pid("/a/x/")
    os.kill(before, signal.SIGKILL)

    assert atc.pid("/a/x/") != before


def test_gets_are_answered_while_the_process_is_killed_under_load(atc: Atc) -> None:
    """Three kills among many requests: every GET has a 200."""
    with Hammering(atc.port, "/a/x/", clients=8) as hammering:
        for _ in range(3):
            pid = atc.pid("/a/x/")
            time.sleep(2.1)  # a process that lived for two seconds has not failed to start
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: atc.pid("/a/x/") != pid)  # type: ignore[misc]

    assert hammering.answered > 100
    assert hammering.failures == []


def test_a_post_that_reached_a_process_is_never_sent_twice(atc: Atc) -> None:
    """The application dies inside the request: one 502, one note, and the next request is served."""
    atc.pid("/a/x/")

    answer = atc.ask("/a/x/exit", "POST", b"x" * 100_000, {"X-Number": "1", "Accept": "text/html"})

    assert answer.status == 502
    assert b"<html" in answer.body
    assert [note.split()[0] for note in atc.notes()] == ["1"]
    assert atc.get("/a/x/")[0] == 200


def test_posts_under_kills_are_sent_at_most_once(atc: Atc) -> None:
    """Whatever the moment of the kill, no number is noted twice, and what was answered with a 200 was noted."""
    atc.pid("/a/x/")
    done, answered = threading.Event(), []

    def post(client: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            name = f"{client}-{number}"
            try:
                if atc.ask("/a/x/", "POST", b"body", {"X-Number": name}).status == 200:
                    answered.append(name)
            except (OSError, HTTPException):
                pass

    threads = [threading.Thread(target=post, args=(client,)) for client in range(4)]
    for each in threads:
        each.start()
    try:
        for _ in range(3):
            pid = atc.pid("/a/x/")
            time.sleep(2.1)  # a process that lived for two seconds has not failed to start
            os.kill(pid, signal.SIGKILL)
    finally:
        done.set()
        for each in threads:
            each.join()
    noted = [note.split()[0] for note in atc.notes()]

    assert len(answered) > 50
    assert len(noted) == len(set(noted))
    assert set(answered) <= set(noted)


def test_a_get_that_kills_every_process_ends(atc: Atc) -> None:
    """It is not repeated for ever."""
    assert atc.ask("/a/x/exit").status in (502, 503)
    assert atc.starts("a/x") <= 4


def test_a_killed_agent_loses_nothing(atc: Atc) -> None:
    """Running tenants go on, a request that needs a start waits for the new agent, which knows what runs."""
    before, agent = atc.pid("/a/x/"), atc.pid_of("atc-agent:0")

    os.kill(agent, signal.SIGKILL)

    assert atc.pid("/a/x/") == before
    assert atc.pid("/a/y/") > 0
    assert [atc.state("a/x"), atc.state("a/y")] == ["ready", "ready"]
    assert atc.starts() == 2


def test_an_agent_killed_during_a_start_makes_no_second_process() -> None:
    """Those who wait are answered by the process that was booting."""
    with running("users: {a: {tenants: {x: {env: {BOOT_SECONDS: '2'}}}}}\n") as atc:
        answers: list[int] = []
        thread = threading.Thread(target=lambda: answers.append(atc.get("/a/x/")[0]))
        thread.start()
        wait_until(lambda: atc.starts() == 1)

        os.kill(atc.pid_of("atc-agent:0"), signal.SIGKILL)
        thread.join()

        assert answers == [200]
        assert atc.starts() == 1


def test_a_killed_nginx_is_back_and_its_workers_answer_meanwhile(atc: Atc) -> None:
    """Every request that a worker took is answered; a connection that none took yet may have to be opened again."""
    atc.pid("/a/x/")
    with Hammering(atc.port, "/a/x/", clients=4, patient=True) as hammering:
        before = atc.pid_of("atc-nginx")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: atc.pid_of("atc-nginx") not in (0, before))
        wait_until(lambda: not _has_group(before))

    assert hammering.failures == []
    assert atc.get("/a/y/")[0] == 200


def _has_group(group: int) -> bool:
    """Does anybody of a process group live? Who is dead and not yet buried does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, leader = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(leader) == group and state != "Z":
            return True
    return False


def test_a_failed_start_says_why_and_is_tried_again_later() -> None:
    """Requests are refused at once while it backs off; the reason and the last lines are in `atc status`."""
    with running("users: {a: {tenants: {x: {env: {FAIL: 'no such table'}}}}}\n") as atc:
        page = atc.ask("/a/x/", headers={"Accept": "text/html"})
        second = atc.ask("/a/x/")

        assert (page.status, second.status) == (503, 503)
        assert int(second.headers["retry-after"]) >= 1
        assert "cannot boot: no such table" in atc.status()["tenants"][0]["reason"]
        started = atc.cli("start", "a/x", check=False)
        assert started.returncode == 3
        assert "cannot boot: no such table" in started.stderr
        assert "cannot boot: no such table" in atc.cli("logs", "a/x").stdout

        atc.edit("FAIL: 'no such table'", "MENDED: 'yes'")
        wait_until(lambda: atc.get("/a/x/")[0] == 200)
        assert atc.status()["tenants"][0]["reason"] == ""


def test_a_prepare_step_runs_once_and_its_failure_fails_the_start() -> None:
    """Not at every start; again when the command changes; and its output is the reason when it fails."""
    text = "users: {a: {tenants: {x: {app: {prepare: 'touch ${database}; echo prepared >> ${tenant.dir}/steps'}}}}}\n"
    with running(text) as atc:
        atc.pid("/a/x/")
        atc.cli("stop", "a/x")
        atc.pid("/a/x/")
        assert (atc.home / "data/a.x/steps").read_text() == "prepared\n"

        atc.edit("echo prepared >> ${tenant.dir}/steps", "echo disk full; exit 3")
        wait_until(lambda: "disk full" in atc.status()["tenants"][0]["reason"])
        assert atc.ask("/a/x/").status == 503


def test_tenants_prepare_in_turns() -> None:
    """Ten migrations at once would need the memory of ten applications."""
    log = "${tenant.dir}/../../steps"
    step = f"echo begin >> {log}; sleep 0.1; echo end >> {log}; touch ${{database}}"
    text = f"users: {{a: {{app: {{prepare: '{step}'}}, tenants: {{x: {{}}, y: {{}}, z: {{}}}}}}}}\n"
    with running(text, server="boots: 1") as atc, ThreadPoolExecutor(3) as pool:
        assert {status for status, _ in pool.map(atc.get, ("/a/x/", "/a/y/", "/a/z/"))} == {200}

        assert (atc.home / "steps").read_text().split() == ["begin", "end"] * 3


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ("start: sleep 100, start_timeout: 1s", "not ready after 1 s"),
        ("prepare: sleep 100, prepare_timeout: 1s", "longer than 1 s"),
    ],
)
def test_a_step_that_hangs_is_ended(keys: str, reason: str) -> None:
    """Nobody waits for ever, and no process is left behind."""
    with running(f"users: {{a: {{tenants: {{x: {{app: {{{keys}}}}}}}}}}}\n") as atc:
        assert atc.ask("/a/x/").status == 503
        assert reason in atc.status()["tenants"][0]["reason"]
        wait_until(lambda: not _processes_below(atc))


def _processes_below(atc: Atc) -> list[str]:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().split(b"\0")
            environ = (each.parent / "environ").read_bytes()
        except OSError:
            continue
        if words[:2] == [b"sleep", b"100"] and str(atc.home).encode() in environ:
            found.append(str(each))
    return found


def test_atc_starts_again_after_supervisord_was_killed(atc: Atc) -> None:
    """What it left behind is taken over or ended: no tenant has two processes, and no agent is in the way."""
    x, agent, nginx = atc.pid("/a/x/"), atc.pid_of("atc-agent:0"), atc.pid_of("atc-nginx")
    os.kill(int((atc.home / ".atc/run/supervisor.pid").read_text()), signal.SIGKILL)
    atc.process.wait(10)

    with again(atc):
        wait_until(lambda: atc.pid("/a/x/") != x)
        wait_until(lambda: not any(_has_group(each) for each in (x, agent, nginx)))
        assert atc.state("a/x") == "ready"


def test_a_tenant_that_does_not_come_up_keeps_nobody_else_asleep() -> None:
    """Its turn among those that boot ends long before its time is over."""
    text = "users: {a: {tenants: {x: {app: {start: sleep 1000, start_timeout: 20s}}, y: {}}}}\n"
    with running(text, server="boots: 1, hold: 30s") as atc:
        thread = threading.Thread(target=lambda: atc.ask("/a/x/"))
        thread.start()
        wait_until(lambda: atc.state("a/x") != "stopped")

        assert atc.get("/a/y/")[0] == 200
        thread.join()
