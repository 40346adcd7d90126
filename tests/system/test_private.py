"""What tenants of one code directory write there is each one's own: by mounts, and by copies."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atcgen.system.mounts import can_mount
from atcgen.system.processes import runs
from tests.system.running import Atc, again, running, wait_until

pytestmark = pytest.mark.system

KEEPING = f"{sys.executable} keeping.py"
FOR_ALL = "/usr/bin/python3"  # that any unix user may run
TENANTS = "idle: 1h\nusers: {a: {tenants: {x: {}, y: {}}}}\n"
MOUNT = pytest.param(
    "mount", marks=pytest.mark.skipif(not can_mount(), reason="nothing can be mounted here"), id="mount"
)
ways = pytest.mark.parametrize("way", [MOUNT, "copy"])
only_root = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists(FOR_ALL), reason="only root can run something as somebody else"
)


def release(home: Path) -> Path:
    """A code directory, shaped as frameworks shape theirs."""
    root = home / "code"
    for each in ("storage", "tmp/pids", "log", "lib/deep", ".git"):
        (root / each).mkdir(parents=True)
    (root / "tmp/pids/.keep").touch()
    (root / ".git/config").write_text("secret")
    (root / "lib/deep/module.txt").write_text("module")
    (root / "lib/again.txt").symlink_to("deep/module.txt")
    for each in ("keeping.py", "application.py"):
        shutil.copy(Path(__file__).with_name(each), root)
    (root / "release.txt").write_text("one")
    return root


@contextmanager
def keeping(way: str, private: str = "storage, tmp, log", more: str = "", command: str = KEEPING) -> Iterator[Atc]:
    """Two tenants of one code directory."""
    with tempfile.TemporaryDirectory(prefix="atc-code-") as code:
        os.chmod(code, 0o755)
        root = release(Path(code))
        text = (
            f"app:\n  root: {root}\n  start: {command}\n"
            f"  private: [{private}]\n  private_by: {way}\n{more}"
            "  env: {OWNER: '${tenant.id}', ROOT: '${app.root}', AT: '${socket}'}\n"
        )
        with running(TENANTS, app=text) as atc:
            yield atc


def where(atc: Atc, tenant: str) -> dict[str, Any]:
    """What a tenant's process says of itself."""
    answer = atc.ask(f"/{tenant}/where")
    assert answer.status == 200, (answer, atc.log())
    said: dict[str, Any] = json.loads(answer.text)
    return said


def code(atc: Atc) -> Path:
    """The code directory."""
    return Path(atc.plan().tenants[0].root)


def copies(atc: Atc, tenant: str = "a.x") -> set[str]:
    """The copies of releases that a tenant has."""
    home = atc.home / ".atc/copies" / tenant
    return {each.name for each in home.iterdir() if not each.is_symlink()} if home.exists() else set()


@ways
def test_what_one_writes_the_other_does_not_read(way: str) -> None:
    """Files, nested ones, a database and the file of a process id; the release stays as it was."""
    with keeping(way) as atc:
        for path in ("storage/x", "tmp/cache/y", "log/production.log"):
            for tenant in ("a/x", "a/y"):
                assert atc.get(f"/{tenant}/read?path={path}") == (200, "nothing")
                atc.get(f"/{tenant}/write?path={path}&text={tenant}")
            assert [atc.get(f"/{each}/read?path={path}")[1] for each in ("a/x", "a/y")] == ["a/x", "a/y"]
        for tenant in ("a/x", "a/y"):
            atc.get(f"/{tenant}/add?database=storage/production.sqlite3&text={tenant}")
        said = [atc.get(f"/{each}/all?database=storage/production.sqlite3")[1] for each in ("a/x", "a/y")]

        assert said == ['["a/x"]', '["a/y"]']
        assert (atc.home / "data/a.x/storage/x").read_text() == "a/x"
        assert (atc.home / "data/a.y/storage/production.sqlite3").exists()
        assert (atc.home / "data/a.y/tmp/pids").is_dir()
        assert not list((code(atc) / "storage").iterdir())
        assert sorted(each.name for each in (code(atc) / "tmp").rglob("*")) == [".keep", "pids"]


def test_a_database_beside_the_code_is_each_ones_own() -> None:
    """With its log and its journal; it need not exist."""
    with keeping("auto", "db.sqlite3, tmp") as atc:
        for tenant in ("a/x", "a/y"):
            assert atc.get(f"/{tenant}/add?database=db.sqlite3&text={tenant}") == (200, "added")
        said = [atc.get(f"/{each}/all?database=db.sqlite3")[1] for each in ("a/x", "a/y")]

        assert said == ['["a/x"]', '["a/y"]']
        assert (atc.home / "data/a.x/db.sqlite3").exists()
        assert not list(code(atc).glob("db*"))
        assert [each.name for each in Path(where(atc, "a/x")["directory"]).glob("db*")] == ["db.sqlite3"]


@ways
def test_the_application_finds_its_own_version_by_every_name(way: str) -> None:
    """`${app.root}` is where it runs, and all of the release is there but its history."""
    with keeping(way) as atc:
        said = where(atc, "a/x")
        root = Path(said["root"])

        assert said["directory"] == said["root"]
        assert (root == code(atc)) == (way == "mount")
        assert atc.get("/a/x/read?path=lib/again.txt")[1] == "module"
        atc.get(f"/a/x/write?path={root}/storage/x&text=mine")
        assert (atc.home / "data/a.x/storage/x").read_text() == "mine"
        if way == "copy":
            assert not (root / ".git").exists()
            assert (root / "lib/deep/module.txt").samefile(code(atc) / "lib/deep/module.txt")


@ways
@only_root
def test_a_tenant_runs_as_its_unix_user(way: str) -> None:
    """It owns what is its own, is in that user's groups and no others, and prepares as that user."""
    command = f"{FOR_ALL} keeping.py"
    with keeping(way, more=f"  user: nobody\n  prepare: {command} prepare\n", command=command) as atc:
        nobody = pwd.getpwnam("nobody")
        said = where(atc, "a/x")
        atc.get("/a/x/write?path=storage/x&text=mine")
        status = Path(f"/proc/{said['pid']}/status").read_text()

        assert (said["user"], set(said["groups"])) == (nobody.pw_uid, {nobody.pw_gid})
        assert "CapEff:\t0000000000000000" in status
        assert "CapPrm:\t0000000000000000" in status
        assert (atc.home / "data/a.x/storage/x").stat().st_uid == nobody.pw_uid
        assert (atc.home / "data/a.x/tmp/prepared").stat().st_uid == nobody.pw_uid


@ways
def test_its_process_is_the_one_that_supervisord_started(way: str) -> None:
    """No process stands between: signals reach it, and its end is seen at once."""
    with keeping(way) as atc:
        pid = where(atc, "a/x")["pid"]

        assert atc.pid_of("a.x:0") == pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: atc.state("a/x") == "stopped")
        assert where(atc, "a/x")["pid"] != pid
        assert not [each for each in Path("/proc/mounts").read_text().splitlines() if str(code(atc)) in each]


def test_an_old_process_keeps_its_copy_until_it_ends() -> None:
    """A restart overlaps: the new one runs in a copy of the new release, the old one in its own; then that goes."""
    with keeping("copy") as atc:
        before = where(atc, "a/x")
        slow = atc.in_background("/a/x/slow?seconds=8")
        fresh = code(atc) / "release.new"
        fresh.write_text("two")
        fresh.rename(code(atc) / "release.txt")
        atc.cli("restart", "a/x")
        seen = [before]

        def has_moved() -> bool:
            """Nginx may use a connection to the old one for a moment."""
            seen.append(where(atc, "a/x"))
            return bool(seen[-1]["pid"] != before["pid"])

        wait_until(has_moved)
        after = seen[-1]

        assert (before["release"], after["release"]) == ("one", "two")
        assert before["directory"] != after["directory"]
        assert Path(before["directory"], "release.txt").read_text() == "one"
        assert slow().status == 200
        wait_until(lambda: copies(atc) == {Path(after["directory"]).name})
        assert where(atc, "a/y")["release"] == "two"


def test_a_copy_that_was_cut_short_is_not_used() -> None:
    """The agent is killed while it makes one; the next agent makes it anew, and leaves nothing of the first."""
    with keeping("copy") as atc:
        many = code(atc) / "node_modules"
        for each in range(3000):
            (many / f"m{each % 300}").mkdir(parents=True, exist_ok=True)
            (many / f"m{each % 300}" / f"{each}.js").write_text(str(each))
        atc.in_background("/a/x/")
        wait_until(lambda: any(each.startswith(".new-") for each in copies(atc)))
        os.kill(atc.pid_of("atc-agent:0"), signal.SIGKILL)
        wait_until(lambda: atc.log().count("agent.ready") == 2)

        root = Path(where(atc, "a/x")["directory"])
        assert len(list((root / "node_modules").rglob("*.js"))) == 3000
        assert copies(atc) == {root.name}


@ways
def test_a_tenant_survives_its_agent_and_its_supervisor(way: str) -> None:
    """What it has is still its own, and it is not started twice."""
    with keeping(way) as atc:
        atc.get("/a/x/write?path=storage/x&text=mine")
        before = where(atc, "a/x")
        os.kill(atc.pid_of("atc-agent:0"), signal.SIGKILL)
        wait_until(lambda: atc.log().count("agent.ready") == 2)

        assert where(atc, "a/x") == before
        assert atc.get("/a/x/read?path=storage/x")[1] == "mine"
        os.kill(atc.process.pid, signal.SIGKILL)
        atc.process.wait(30)
        with again(atc) as second:
            wait_until(lambda: where(second, "a/x")["pid"] != before["pid"])
            assert second.get("/a/x/read?path=storage/x")[1] == "mine"
            assert not runs(before["pid"])


def test_a_database_that_nobody_called_private_stays_the_one_of_the_release() -> None:
    """Two names of one SQLite file, each with a journal of its own, would destroy it."""
    with keeping("copy") as atc:
        (code(atc) / "shared.sqlite3").touch()
        for tenant in ("a/x", "a/y"):
            atc.get(f"/{tenant}/add?database=shared.sqlite3&text={tenant}")

        assert atc.get("/a/x/all?database=shared.sqlite3")[1] == '["a/x", "a/y"]'


@ways
def test_nginx_sends_what_is_its_own(way: str) -> None:
    """A file that the application names below its root is the tenant's, and not the release's."""
    with keeping(way) as atc:
        (code(atc) / "storage/x").write_text("the owner's")
        for tenant in ("a/x", "a/y"):
            atc.get(f"/{tenant}/write?path=storage/x&text={tenant}")
            root = where(atc, tenant)["root"]
            assert atc.ask(f"/{tenant}/named?path={root}/storage/x").text == tenant
            assert atc.ask(f"/{tenant}/named?path={root}/lib/deep/module.txt").text == "module"
        location = atc.plan().tenants[0].app_files[0].location
        assert atc.ask(f"/a/x/redirected?to={location}storage/x").status == 404


@ways
def test_a_touch_of_its_restart_txt_restarts_one_tenant(way: str) -> None:
    """Once for each touch, and the other tenants of the directory go on; each makes the file at first, as puma does."""
    boots = f"sh -c '[ -e tmp/restart.txt ] || touch tmp/restart.txt; exec {KEEPING}'"
    with keeping(way, command=boots) as atc:
        before = {tenant: where(atc, tenant)["pid"] for tenant in ("a/x", "a/y")}
        atc.get("/a/x/write?path=tmp/restart.txt&text=now")
        wait_until(lambda: where(atc, "a/x")["pid"] != before["a/x"])
        atc.get("/a/x/write?path=tmp/restart.txt&text=again")
        wait_until(lambda: atc.log().count("tenant.touched") == 2)
        wait_until(lambda: atc.log().count("tenant=a/x from=switching") == 2)

        assert where(atc, "a/y")["pid"] == before["a/y"]
        assert "tenant.touched tenant=a/y" not in atc.log()


def test_a_copy_is_kept_for_the_next_wake() -> None:
    """It is not made anew while the release is the same; a tenant that leaves the file takes it along."""
    with keeping("copy") as atc:
        where(atc, "a/x")
        directory = Path(where(atc, "a/x")["directory"])
        made = directory.stat().st_ino
        atc.cli("stop", "a/x")
        wait_until(lambda: atc.state("a/x") == "stopped")

        assert Path(where(atc, "a/x")["directory"]) == directory
        assert directory.stat().st_ino == made
        atc.edit("{x: {}, y: {}}", "{y: {}}")
        wait_until(lambda: not directory.parent.exists())
