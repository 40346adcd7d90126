"""Machines that share a store: each is an atc with a home of its own, which can be destroyed as machines are. And a
writer that remembers what was acknowledged, so that it can be said afterwards what was lost.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from atcgen.replica.notes import MARKER
from atcgen.system.agent import ask
from atcgen.system.processes import runs
from tests.system.running import Atc, free_port, wait_until

LEDGER = Path(__file__).with_name("ledger.py")
TENANT = "t/x"
PROGRAM = "t.x"
PATH = f"/{TENANT}/"
_BETWEEN_POSTS = 0.004
_AFTER_A_REFUSAL = 0.02


@dataclass(frozen=True)
class Settings:
    """What the atc.yml of every machine says."""

    lease: str = "3s"
    sync: str = "100ms"
    idle: str = "1h"
    journal: str = "wal"
    synchronous: str = "FULL"
    kill_timeout: str = "10s"
    app: str = ""  # more keys of `app`
    storage: str = ""  # more keys of `storage`
    replica: str = ""  # instead of the world's directory
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Machine:
    """One of those that share the store."""

    name: str
    home: Path
    port: int
    environ: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _begun: int = 0

    @property
    def atc(self) -> Atc:
        """For asking it."""
        assert self.process
        return Atc(self.port, self.home, self.process)

    @property
    def data(self) -> Path:
        """Where the tenant's databases are."""
        return self.home / "data" / PROGRAM

    @property
    def marker(self) -> Path:
        """What is noted beside the databases."""
        return self.data / MARKER

    def start(self) -> Machine:
        """`atc run`, until it serves."""
        return self.launch().ready()

    def launch(self) -> Machine:
        """`atc run`, without waiting."""
        log = self.home / ".atc/logs/agent.log"
        self._begun = log.read_text().count("agent.ready") if log.exists() else 0
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLY_"))}
        with open(self.home / "log", "ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "atcgen", "run"],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environ, "FLY_MACHINE_ID": self.name, **self.environ},
            )
        return self

    def ready(self) -> Machine:
        """Wait until it serves."""

        def is_up() -> bool:
            assert self.process
            assert self.process.poll() is None, (self.home / "log").read_text()
            return self.asked("/up")[0] == 200 and self.atc.log().count("agent.ready") > self._begun

        wait_until(is_up)
        return self

    def end(self) -> None:
        """SIGTERM, and wait."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.crash()
                raise

    def crash(self) -> None:
        """SIGKILL everything at one moment; the files stay."""
        if self.process is None:
            return
        everything = _frozen(self.process.pid, str(self.home))
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(30)
        # A stopped process whose group lost its parent is continued by the kernel, with a SIGHUP, before it is killed.
        wait_until(lambda: not _kill_what_belongs(str(self.home)))

    def destroy(self) -> None:
        """SIGKILL everything at one moment, and no file is left but atc.yml."""
        self.crash()
        for each in self.home.iterdir():
            if each.name not in ("atc.yml", "log"):
                shutil.rmtree(each)

    def asked(self, path: str, method: str = "GET", timeout: float = 60) -> tuple[int, str]:
        """Status and body; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, headers={"Content-Length": "0"} if method == "POST" else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def add(self, number: int) -> bool:
        """Post one row; was it acknowledged?"""
        return self.asked(f"{PATH}add?id={number}", "POST")[0] == 200

    def wake(self, within: float = 40) -> None:
        """Have the tenant up."""
        wait_until(lambda: self.asked(PATH)[0] == 200, within)

    def rows(self, within: float = 40) -> dict[str, Any]:
        """What the tenant has, as soon as it answers here."""
        answers: list[str] = []

        def is_answered() -> bool:
            status, body = self.asked(f"{PATH}rows")
            answers.extend([body] if status == 200 else [])
            return bool(answers)

        wait_until(is_answered, within)
        said: dict[str, Any] = json.loads(answers[0])
        return said

    def stop(self) -> None:
        """`atc stop`; returns when the tenant is down, not when its databases are given back."""
        assert ask(self.home / ".atc", "POST", "/stop", TENANT)[0] == 200

    def status(self) -> dict[str, Any]:
        """What `atc status` says of the tenant."""
        found: dict[str, Any] = next(
            each for each in ask(self.home / ".atc", "GET", "/status")[1]["tenants"] if each["id"] == TENANT
        )
        return found

    def pid(self) -> int:
        """The application's process, 0 when there is none."""
        return int(self.status()["pid"])

    def litestream(self) -> int:
        """Litestream's process, 0 when there is none."""
        words = str(self.home / ".atc/run/replica")
        for pid in _processes():
            cwd = _link(pid, "cwd")
            if cwd.startswith(words) and b"litestream" in _read(pid, "cmdline"):
                return pid
        return 0

    def log_has(self, words: str) -> int:
        """How often the agent said something."""
        return self.atc.log().count(words)

    def leftovers(self) -> list[str]:
        """Processes that belong to this machine and still run, with what they are."""
        return [f"{pid} {_command(pid)}" for pid in _processes() if _belongs(pid, str(self.home))]


@dataclass
class World:
    """Machines a and b, and what they share."""

    directory: Path
    store: Path
    a: Machine
    b: Machine

    def lease(self) -> dict[str, Any]:
        """What the store says of the tenant."""
        said: dict[str, Any] = json.loads((self.store / f"tenants/{PROGRAM}/lease.json").read_text())
        return said

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The store is not there. A file is in its place, or litestream would make a new one."""
        away = self.store.with_name("away")
        self.store.rename(away)
        self.store.write_text("")
        try:
            yield
        finally:
            self.store.unlink()
            away.rename(self.store)

    def is_released(self) -> bool:
        """Does nobody have the tenant's databases?"""
        return not self.lease()["held"]

    def objects(self) -> list[Path]:
        """The files of the path that is the truth with what was changed, oldest first."""
        return sorted((self.store / f"tenants/{PROGRAM}" / self.lease()["path"]).rglob("ltx/0/*.ltx"))

    def wait_until_published(self, more_than: str = "") -> str:
        """Wait until the path that is the truth is of who holds the lease now, and another one than before; it."""

        def is_published() -> bool:
            with suppress(OSError, ValueError):
                lease = self.lease()
                path: str = lease["path"]
                return bool(path.startswith(f"e{lease['epoch']}.") and lease["held"] and path != more_than)
            return False

        wait_until(is_published)
        return str(self.lease()["path"])


@contextmanager
def world(settings: Settings | None = None) -> Iterator[World]:
    """Two machines that do not run yet; all that they started is ended afterwards."""
    said = settings or Settings()
    directory = Path(tempfile.mkdtemp(prefix="atcm-", dir="/tmp"))  # short, for the kernel's limit on socket paths
    store = directory / "store"
    store.mkdir()
    machines = [_machine(name, directory, store, said) for name in ("a", "b")]
    try:
        yield World(directory, store, *machines)
    finally:
        for each in machines:
            each.crash()
        if not os.environ.get("ATC_TEST_LEAVE"):
            shutil.rmtree(directory)


def _machine(name: str, directory: Path, store: Path, said: Settings) -> Machine:
    home, port = directory / name, free_port()
    home.mkdir()
    (home / "atc.yml").write_text(
        f"server: {{http_port: {port}, bind: 127.0.0.1, kill_timeout: {said.kill_timeout}, hold: 20s}}\n"
        f"app:\n  root: {LEDGER.parent}\n  start: {sys.executable} ledger.py ${{socket}}\n  {said.app}\n"
        f"  env: {{DATABASE: '${{database}}', JOURNAL: {said.journal}, SYNC: '{said.synchronous}'}}\n"
        f"storage: {{volume: ./data, replica: '{said.replica or f'file://{store}'}', lease: {said.lease}"
        f"{said.storage and f', {said.storage}'}}}\n"
        f"backup: {{sync: {said.sync}}}\nidle: {said.idle}\n"
        f"users: {{t: {{tenants: {{x: {{}}}}}}}}\n"
    )
    return Machine(name, home, port, said.environ)


class Writer:
    """Posts rows to a machine until the block ends, about two hundred a second, and remembers what was acknowledged.

    Where it posts to may change; each row is posted once.
    """

    def __init__(self, machine: Machine, first: int = 1) -> None:
        self.machine = machine
        self.attempted: set[int] = set()
        self.acknowledged: dict[int, float] = {}  # row -> when, by the monotonic clock
        self._next = first
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._go_on)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """No more rows."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def go_on(self, machine: Machine) -> None:
        """Post to another machine, after a stop."""
        self.machine, self._done = machine, threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._thread.start()

    def wait_for(self, more: int, within: float = 30) -> None:
        """Wait until so many more rows were acknowledged."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) >= before + more, within)

    def last(self) -> float:
        """When a row was acknowledged last."""
        return max(self.acknowledged.values(), default=0.0)

    def _go_on(self) -> None:
        while not self._done.is_set():
            number, self._next = self._next, self._next + 1
            self.attempted.add(number)
            if self.machine.asked(f"{PATH}add?id={number}", "POST")[0] == 200:
                self.acknowledged[number] = time.monotonic()
                self._done.wait(_BETWEEN_POSTS)
            else:
                self._done.wait(_AFTER_A_REFUSAL)


@dataclass(frozen=True)
class Outcome:
    """What became of the rows."""

    acknowledged: int
    found: int
    lost: int
    seconds: float  # how long before the last acknowledged row the first of those that are lost was acknowledged
    holes: int  # lost rows that are older than one that was kept: not the end is missing, but something in between
    invented: int  # rows that nobody posted
    integrity: str


def outcome(writer: Writer, said: Mapping[str, Any], until: float | None = None) -> Outcome:
    """Compare what was acknowledged with what is there; loss is counted back from `until`, by the monotonic clock."""
    there, known = set(said["rows"]), dict(writer.acknowledged)
    lost = {each: when for each, when in known.items() if each not in there}
    newest_kept = max((when for each, when in known.items() if each in there), default=0.0)
    end = until if until is not None else writer.last()
    return Outcome(
        acknowledged=len(known),
        found=len(there),
        lost=len(lost),
        seconds=max((end - when for when in lost.values()), default=0.0),
        holes=sum(when < newest_kept for when in lost.values()),
        invented=len(there - writer.attempted),
        integrity=str(said["integrity"]),
    )


def killed(pid: int) -> float:
    """SIGKILL a process group; when."""
    assert pid > 1
    os.killpg(pid, signal.SIGKILL)
    return time.monotonic()


def is_stable(condition: Callable[[], bool], seconds: float) -> bool:
    """Does a condition hold at every look for so long?"""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        time.sleep(0.05)
    return True


def _frozen(root: int, home: str) -> set[int]:
    """Every process of a machine, stopped: nobody starts another one or finishes anything before all are killed."""
    stopped: set[int] = set()
    while True:
        found = {root, *(pid for pid in _processes() if _belongs(pid, home))} | _below(root)
        fresh = {pid for pid in found - stopped if runs(pid)}
        if not fresh:
            return stopped
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        stopped |= fresh


def _kill_what_belongs(home: str) -> list[int]:
    """End what a machine left behind: nginx's workers outlive a master that is killed. What there was."""
    left = [pid for pid in _processes() if _belongs(pid, home)]
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return left


def _below(root: int) -> set[int]:
    found: set[int] = set()
    left = [root]
    while left:
        for file in Path(f"/proc/{left.pop()}/task").glob("*/children"):
            with suppress(OSError):
                pids = {int(each) for each in file.read_text().split()} - found
                found |= pids
                left += pids
    return found


def _processes() -> list[int]:
    return [int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "gone"


def _belongs(pid: int, home: str) -> bool:
    """Was it started with a path in this directory, or does it work there?"""
    place = f"{home}/".encode()
    return runs(pid) and (
        place in _read(pid, "cmdline")
        or place in _read(pid, "environ")
        or f"{_link(pid, 'cwd')}/".startswith(f"{home}/")
    )


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _link(pid: int, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/{name}")
    except OSError:
        return ""
