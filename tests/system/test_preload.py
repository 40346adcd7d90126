"""Tenants that are woken by a fork, in a running atc."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from atcgen.system.mounts import can_mount
from atcgen.system.processes import runs
from tests.system.running import APPLICATION, Atc, running, wait_until

pytestmark = pytest.mark.system

TENANTS = ", ".join(f"{each}: {{}}" for each in "xyzuvw")
FORKED = f"idle: 1h\nusers: {{a: {{app: {{preload: true}}, tenants: {{{TENANTS}}}}}}}\n"


@pytest.fixture
def forking() -> Iterator[Atc]:
    """a/x is awake, and there is a zygote."""
    with running(FORKED) as atc:
        atc.pid("/a/x/")
        wait_until(lambda: zygote_of(atc) > 0)
        yield atc


def zygote_of(atc: Atc) -> int:
    """The zygote, once it can be asked."""
    if "zygote.ready" not in atc.log():
        return 0
    return atc.pid_of(f"{zygotes(atc)[0]}:0")


def zygotes(atc: Atc) -> list[str]:
    """The programs of supervisord that are one."""
    return [each.program for each in atc.plan().zygotes]


def parent(pid: int) -> int:
    """Whose child a process is."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def standing_for(atc: Atc, tenant: str) -> int:
    """The process of a tenant that supervisord knows."""
    return int(next(each["pid"] for each in atc.status()["tenants"] if each["id"] == tenant))


def test_a_wake_is_a_fork(forking: Atc) -> None:
    """From the second tenant on: the first one had nobody to fork, and waited for nobody."""
    zygote, first, second = zygote_of(forking), forking.pid("/a/x/"), forking.pid("/a/y/")

    assert (parent(second), parent(first) == zygote) == (zygote, False)
    assert os.getpgid(second) == standing_for(forking, "a/y")
    assert forking.ask("/a/y/").text.split()[0] == "a/y"
    assert b"a/" not in Path(f"/proc/{zygote}/environ").read_bytes()


def test_it_serves_among_others(forking: Atc) -> None:
    """Whoever boots behind all others, as the zygote does, is taken back."""
    pid = forking.pid("/a/y/")

    wait_until(lambda: os.sched_getscheduler(pid) == os.SCHED_OTHER)
    assert os.sched_getscheduler(zygote_of(forking)) == os.SCHED_OTHER


def test_a_stop_ends_it(forking: Atc) -> None:
    """And what stands for it; nothing is left of it."""
    pid = forking.pid("/a/y/")
    stands = standing_for(forking, "a/y")
    forking.cli("stop", "a/y")

    assert not os.path.exists(f"/proc/{pid}")
    assert not os.path.exists(f"/proc/{stands}")
    assert forking.pid("/a/y/") != pid


@pytest.mark.parametrize("whom", ["child", "stands"])
def test_a_kill_is_noticed_as_any(forking: Atc, whom: str) -> None:
    """Of the process that serves, or of the one that stands for it: the next request wakes the tenant."""
    pid = forking.pid("/a/y/")
    os.kill(pid if whom == "child" else standing_for(forking, "a/y"), signal.SIGKILL)

    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert forking.pid("/a/y/") != pid


def test_when_the_zygote_is_killed_tenants_go_on(forking: Atc) -> None:
    """Others are started; the log says so; and the next one is forked again."""
    zygote, pid = zygote_of(forking), forking.pid("/a/y/")
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: "zygote.ended" in forking.log())

    assert forking.pid("/a/y/") == pid
    other = forking.pid("/a/z/")
    assert parent(other) == forking.process.pid
    wait_until(lambda: forking.log().count("zygote.ready") == 2)
    assert parent(forking.pid("/a/u/")) == zygote_of(forking) != zygote
    forking.cli("stop", "a/y")
    assert not runs(pid)


def test_an_edit_that_names_another_release_has_another_zygote(forking: Atc) -> None:
    """The old one is never forked for it, and ends."""
    zygote, old = zygote_of(forking), zygotes(forking)
    forking.edit("preload: true", "preload: true, release: two")
    wait_until(lambda: zygotes(forking) != old)
    assert parent(forking.pid("/a/y/")) != zygote

    wait_until(lambda: not os.path.exists(f"/proc/{zygote}"))
    wait_until(lambda: zygote_of(forking) > 0 and forking.log().count("zygote.ready") == 2)
    assert parent(forking.pid("/a/z/")) == zygote_of(forking)


def test_it_ends_when_nobody_was_awake_for_long() -> None:
    """And begins again with the next wake."""
    with running(FORKED.replace("1h", "1s")) as atc:
        atc.pid("/a/x/")
        wait_until(lambda: "zygote.ready" in atc.log())
        zygote = zygote_of(atc)
        wait_until(lambda: not os.path.exists(f"/proc/{zygote}"))
        assert "zygote.ended" not in atc.log()
        atc.pid("/a/x/")
        wait_until(lambda: atc.log().count("zygote.ready") == 2)


def test_one_that_does_not_load_breaks_nothing() -> None:
    """It is said once."""
    with running(FORKED) as atc:
        program = zygotes(atc)[0]
        Path(atc.home, f".atc/run/{program}").write_text("in the way")
        for each in "xyz":
            atc.pid(f"/a/{each}/")
        wait_until(lambda: "zygote.failed" in atc.log())
        assert atc.log().count("zygote.failed") == 1


def test_many_wakes_at_once(forking: Atc) -> None:
    """Each tenant has a process of its own."""
    paths = [f"/a/{each}/" for each in "yzuvw"]
    with ThreadPoolExecutor(20) as pool:
        said = list(pool.map(lambda path: forking.ask(path).text.split(), paths * 4))

    assert {(owner, pid) for owner, pid in said} == {(path[1:4], str(forking.pid(path))) for path in paths}
    assert {parent(forking.pid(path)) for path in paths} == {zygote_of(forking)}


def test_an_agent_that_is_killed_finds_it_again(forking: Atc) -> None:
    """And nobody is started twice."""
    zygote = zygote_of(forking)
    pid = forking.pid("/a/y/")
    os.kill(forking.pid_of("atc-agent:0"), signal.SIGKILL)
    wait_until(lambda: forking.log().count("agent.ready") == 2)

    assert forking.pid("/a/y/") == pid
    assert parent(forking.pid("/a/z/")) == zygote


def test_the_end_is_the_end_of_all(forking: Atc) -> None:
    """Within the usual time, and nobody has to be killed."""
    pids = [zygote_of(forking), forking.pid("/a/y/"), standing_for(forking, "a/y")]
    forking.process.terminate()

    assert forking.process.wait(30) == 0
    assert not [each for each in pids if os.path.exists(f"/proc/{each}")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run something as somebody else")
def test_a_unix_user_has_a_zygote_of_its_own(tmp_path: Path) -> None:
    """Which is that user, as are its forks."""
    python = "/usr/bin/python3"
    if not os.path.exists(python):
        pytest.skip("no Python that others may run")
    text = FORKED.replace("preload: true", f"preload: true, user: nobody, start: '{python} application.py ${{socket}}'")
    nobody = pwd.getpwnam("nobody").pw_uid
    with running(text) as atc:
        atc.home.chmod(0o755)
        for each in ("starts", "notes"):
            (atc.home / each).touch()
            (atc.home / each).chmod(0o666)
        atc.pid("/a/x/")
        wait_until(lambda: zygote_of(atc) > 0)
        pid = atc.pid("/a/y/")
        assert parent(pid) == zygote_of(atc)
        pids = (pid, zygote_of(atc), standing_for(atc, "a/y"))
        assert [os.stat(f"/proc/{each}").st_uid for each in pids] == [nobody] * 3


@pytest.mark.skipif(not can_mount(), reason="nothing can be mounted here")
def test_a_fork_is_where_its_private_directories_are(tmp_path: Path) -> None:
    """In the mounts of its tenant, and not in those of the zygote."""
    shutil.copy(APPLICATION, tmp_path)
    app = f"preload: true, root: {tmp_path}, private: [scratch], private_by: mount"
    with running(FORKED.replace("preload: true", app)) as atc:
        atc.pid("/a/x/")
        wait_until(lambda: zygote_of(atc) > 0)
        pid = atc.pid("/a/y/")

        assert parent(pid) == zygote_of(atc)
        assert os.readlink(f"/proc/{pid}/ns/mnt") == os.readlink(f"/proc/{standing_for(atc, 'a/y')}/ns/mnt")
        assert f"/scratch {tmp_path}/scratch " in Path(f"/proc/{pid}/mountinfo").read_text()
        assert "scratch" not in Path(f"/proc/{zygote_of(atc)}/mountinfo").read_text()
