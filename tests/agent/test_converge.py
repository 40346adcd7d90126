"""How a machine asks for editions: one question for all who ask, and none that is answered from before they asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from atcgen.agent import converge, reporting
from atcgen.agent.apply import Applier
from atcgen.agent.converge import Converger
from atcgen.agent.service import Service
from atcgen.errors import ApplyError
from atcgen.fleet.history import History, open_history, written
from atcgen.fleet.reports import Report, read_all
from atcgen.fleet.reports import write as really
from atcgen.system.store import Found, Store
from atcgen.system.store_directory import DirectoryStore
from atcgen.system.supervisor import Supervisor
from tests.compiler.compiling import compiled, machine

SECRET = "known to all machines"
TEXT = f"fleet: {{config: 'file:./store', secret: {SECRET}}}\nusers: {{a: {{tenants: {{x: {{}}}}}}}}\n"


class Recording(Applier):
    """Applies nothing, and remembers what."""

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.installed: list[str] = []
        self.refuses = ""

    async def install(self, text: str, put: Callable[[], None]) -> None:
        if self.refuses:
            raise ApplyError(self.refuses)
        self.installed.append(text)
        put()


@pytest.fixture
def applier(tmp_path: Path) -> Recording:
    """Of a machine that follows the store beside its atc.yml."""
    (tmp_path / "store").mkdir()
    (tmp_path / "atc.yml").write_text(TEXT)
    plan = compiled(TEXT, machine(base=str(tmp_path), state=str(tmp_path / "state"), instance="m1")).plan
    return Recording(Service(plan, Supervisor("/nowhere")))


async def push(history: History, text: str) -> None:
    """The next edition."""
    await history.add(written(text, "ann", ""), await history.newest())


def history_of(applier: Applier) -> History:
    """Its store."""
    return open_history(applier.service.plan.shared, {})


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Questions for the next edition wait here until it is open; they are counted in `asked`."""
    opened = asyncio.Event()
    really = DirectoryStore.get

    async def get(self: DirectoryStore, key: str) -> Found | None:
        if key.startswith("fleet/config"):
            asked.append(key)
            await opened.wait()
        return await really(self, key)

    asked.clear()
    monkeypatch.setattr(DirectoryStore, "get", get)
    return opened


asked: list[str] = []


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what it is about has no event
            await asyncio.sleep(0.005)


def test_all_who_ask_at_once_share_a_question(applier: Recording, gate: asyncio.Event) -> None:
    """And who asks while it is on its way gets another one, shared as well: the first may have been answered before."""

    async def work() -> None:
        converger = Converger(applier, {})
        gate.set()
        assert await converger.converged()
        gate.clear()
        asked.clear()
        first = [asyncio.ensure_future(converger.converged(20)) for _ in range(3)]
        await until(lambda: len(asked) == 1)
        second = [asyncio.ensure_future(converger.converged(20)) for _ in range(3)]
        for _ in range(100):  # whatever could ask has had its turn
            await asyncio.sleep(0)
        assert len(asked) == 1
        gate.set()

        assert all(await asyncio.gather(*first, *second))
        assert len(asked) == 2

    asyncio.run(work())


def test_what_it_finds_is_live_when_it_returns(applier: Recording, tmp_path: Path) -> None:
    """And it is taken once."""

    async def work() -> None:
        converger = Converger(applier, {})
        await push(history_of(applier), TEXT + "idle: 1h\n")

        assert await converger.converged()
        assert await converger.converged()

        assert applier.installed == [TEXT + "idle: 1h\n"]
        assert (tmp_path / "atc.yml").read_text() == TEXT + "idle: 1h\n"
        assert (converger.runs, converger.edited, converger.refused) == (1, False, (0, ""))

    asyncio.run(work())


def test_a_store_that_does_not_answer_holds_up_nobody(applier: Recording, gate: asyncio.Event) -> None:
    """Beyond their patience; the question goes on."""

    async def work() -> None:
        converger = Converger(applier, {})
        await push_past(gate, history_of(applier))
        begun = time.monotonic()

        assert not await converger.converged(0.1)

        assert time.monotonic() - begun < 5
        gate.set()
        assert await converger.converged(20)
        assert converger.runs == 1

    asyncio.run(work())


async def push_past(gate: asyncio.Event, history: History) -> None:
    """Push while the gate is open, and close it."""
    gate.set()
    await push(history, TEXT + "idle: 1h\n")
    gate.clear()


def test_a_refused_one_is_not_tried_again_and_again(applier: Recording) -> None:
    """Until there is another one."""

    async def work() -> None:
        converger, history = Converger(applier, {}), history_of(applier)
        await push(history, TEXT + "idle: 1h\n")
        applier.refuses = "no room"
        await converger.converged()
        assert (converger.runs, converger.refused) == (0, (1, "no room"))
        applier.refuses = ""
        await converger.converged()
        assert applier.installed == []
        await push(history, TEXT + "idle: 2h\n")
        await converger.converged()
        assert (converger.runs, converger.refused) == (2, (0, ""))

    asyncio.run(work())


def test_reports_are_few_and_a_sleeping_machine_says_nothing(
    applier: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes that follow each other are said together; after `asleep`, nothing until `awake`."""
    monkeypatch.setattr(reporting, "_BETWEEN", 0.2)
    wrote: list[Report] = []

    async def write(store: Store, report: Report, secret: str) -> None:
        wrote.append(report)
        await really(store, report, secret)

    monkeypatch.setattr(reporting, "write", write)

    async def work() -> None:
        converger, history = Converger(applier, {}), history_of(applier)
        for number in range(5):
            await push(history, TEXT + f"idle: {number + 1}h\n")
            await converger.converged()
        await until(lambda: bool(wrote) and wrote[-1].runs == 5)
        assert len(wrote) <= 3
        converger.look_at_the_file()
        await converger.asleep()
        assert [(each.machine, each.awake) for each in await read_all(history.store, SECRET)] == [("m1", False)]
        count = len(wrote)
        converger.look_at_the_file()
        await asyncio.sleep(0.3)  # longer than two reports are apart
        assert len(wrote) == count
        converger.awake()
        await until(lambda: wrote[-1].awake)

    asyncio.run(work())


def test_who_follows_no_store_does_nothing(applier: Recording) -> None:
    """And is as it should be."""
    applier.service.plan = compiled("users: {a: {tenants: {x: {}}}}").plan

    async def work() -> None:
        converger = Converger(applier, {})
        assert await converger.converged()
        assert converger.status() is None
        converger.time_has_passed()
        await converger.asleep()

    asyncio.run(work())


def test_a_machine_that_is_awake_says_so_again_and_again(applier: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that asks for nothing by itself: who was killed is known by its silence."""
    monkeypatch.setattr(converge, "_BETWEEN_REPORTS", 0.02)
    monkeypatch.setattr(reporting, "REPEATED", 0.1)
    monkeypatch.setattr(reporting, "_BETWEEN", 0.0)

    async def work() -> None:
        converger, history = Converger(applier, {}), history_of(applier)
        asking = asyncio.ensure_future(converger.keep_asking())

        async def said() -> float:
            return max((each.at for each in await read_all(history.store, SECRET)), default=0.0)

        seen = set[float]()
        async with asyncio.timeout(30):
            while len(seen - {0.0}) < 3:
                seen.add(await said())
                await asyncio.sleep(0.02)
        asking.cancel()

    asyncio.run(work())
