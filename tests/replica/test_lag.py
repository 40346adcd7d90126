"""How far the store is behind, and what is said of it."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import Unavailable
from atcgen.replica import gauge as gauging
from atcgen.replica.attachment import Attachment
from atcgen.replica.gauge import Gauge
from atcgen.replica.lag import Known, is_behind, is_late, last_error, learn
from atcgen.system.replication import Report
from tests.compiler.compiling import compiled, machine

_FAILED = (
    'time=2026-11-23T19:06:26.706Z level=ERROR msg="monitor error" system=store db=a.db replica=file '
    'error="write ltx file: mkdir \\"/x\\": not a directory" consecutive_errors=1 backoff=1s'
)
_OTHER = _FAILED.replace("db=a.db", "db=b.db")
_MENDED = (
    'time=2026-11-23T19:06:34.708Z level=INFO msg="replica sync recovered" system=store db=a.db replica=file '
    "previous_errors=3"
)


def looks(*seen: tuple[int, float, float]) -> Known:
    """What follows from transactions, times of the last upload, and times of the look."""
    known: Known | None = None
    for txid, copied_at, now in seen:
        known = learn(known, txid, copied_at, now)
    assert known
    return known


def test_an_upload_that_ended_may_have_begun_too_early() -> None:
    """Only the one after it certainly has what was seen."""
    assert looks((5, 10.0, 11.0)).stored_txid == 0
    assert looks((5, 10.0, 11.0), (6, 12.0, 13.0)).stored_txid == 0
    assert looks((5, 10.0, 11.0), (6, 12.0, 13.0), (7, 14.0, 15.0)).stored_txid == 5
    assert looks((5, 10.0, 11.0), (6, 12.0, 13.0), (7, 14.0, 15.0), (7, 16.0, 17.0)).stored_txid == 6


def test_nothing_is_learnt_of_the_store_while_nothing_reaches_it() -> None:
    """However often one looks; what waits does not grow."""
    known = looks((5, 10.0, 11.0), *((6 + each, 10.0, 12.0 + each) for each in range(50)))

    assert (known.stored_txid, known.txid, known.copied_at) == (0, 55, 10.0)
    assert len(known.pending) == 1
    assert known.lag(70.0) == 60.0


def test_what_was_never_copied_is_behind_since_it_was_seen() -> None:
    """Not since 1970."""
    assert looks((1, 0.0, 100.0), (2, 0.0, 105.0)).lag(107.0) == 7.0


@pytest.mark.parametrize(
    ("lag", "sync", "late", "behind"),
    [(5.0, 1.0, False, False), (6.0, 1.0, True, False), (11.0, 1.0, True, True), (299.0, 60.0, False, False)],
)
def test_how_late_is_behind_follows_from_how_often_it_is_sent(
    lag: float, sync: float, late: bool, behind: bool
) -> None:
    """Ten times the interval, and ten seconds at least."""
    assert (is_late(lag, sync), is_behind(lag, sync)) == (late, behind)


def test_an_error_is_the_last_one_of_that_database() -> None:
    """Until it is mended; a database may lie in a directory."""
    assert last_error(f"{_FAILED}\n{_OTHER}", "data/a.db") == 'write ltx file: mkdir "/x": not a directory'
    assert last_error(f"{_FAILED}\n{_MENDED}", "a.db") == ""
    assert last_error(_OTHER, "a.db") == ""


@pytest.fixture
def plan(tmp_path: Path) -> TenantPlan:
    """A tenant that is copied every second."""
    text = "app: {start: 'x ${socket}', databases: [a.db]}\nstorage: {replica: 'file:./s'}\n"
    text += "users: {a: {tenants: {x: {}}}}\n"
    (found,) = compiled(text, machine(base=str(tmp_path), state=str(tmp_path))).plan.tenants
    Path(f"{found.log}.replica.log").parent.mkdir(parents=True)
    Path(f"{found.log}.replica.log").write_text(_FAILED + "\n")
    return found


def test_a_warning_is_said_once_and_that_it_is_over_too(
    plan: TenantPlan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever else is said of it meanwhile: also a litestream that does not answer falls behind."""
    said: list[Report | None] = []

    async def report(_: str) -> list[Report]:
        answer = said.pop(0)
        if answer is None:
            raise Unavailable("litestream does not answer")
        return [answer]

    monkeypatch.setattr(gauging, "report", report)
    clock = [100.0]
    gauge, attached, now = Gauge(lambda: clock[0]), Attachment("e1.1", is_published=True), time.time()
    late = Report(plan.databases[0], "replicating", 3, now - 30)

    async def measured(*answers: Report | None) -> list[str]:
        caplog.clear()
        said.extend(answers)
        for _ in answers:
            await gauge.measure(plan, attached)
        return [each.getMessage().split()[0] for each in caplog.records]

    async def scenario() -> None:
        assert await measured(Report(plan.databases[0], "replicating", 1, now - 32)) == []
        assert gauge.problem(now) == ""
        clock[0] += 5
        assert await measured(Report(plan.databases[0], "replicating", 2, now - 31)) == ["replica.behind"]
        assert gauge.problem(now) == 'the store is 31 s behind: write ltx file: mkdir "/x": not a directory'
        assert await measured(late, late, None) == []
        assert (gauge.times_behind, gauge.databases["a.db"].txid) == (1, 3)
        assert await measured(Report(plan.databases[0], "replicating", 4, now)) == ["replica.caught_up"]
        assert (gauge.problem(now), gauge.databases["a.db"].error) == ("", "")
        assert await measured(late, late) == []  # an answer that is older than what is known

    with caplog.at_level(logging.INFO, logger="atc.agent"):
        asyncio.run(scenario())


def test_what_was_known_of_another_litestream_is_forgotten(plan: TenantPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transactions are counted anew."""

    async def report(_: str) -> list[Report]:
        return [Report(plan.databases[0], "replicating", 1, time.time())]

    monkeypatch.setattr(gauging, "report", report)
    gauge = Gauge()
    gauge.databases["a.db"] = Known(1.0, 99, 1.0, 98)

    asyncio.run(gauge.measure(plan, Attachment("e1.2", is_published=True)))
    assert (gauge.databases["a.db"].txid, gauge.databases["a.db"].stored_txid) == (1, 0)
    asyncio.run(gauge.measure(plan, None))
    assert gauge.databases == {}
