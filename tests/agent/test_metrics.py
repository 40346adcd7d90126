"""Metrics are what the status says, in a form that Prometheus reads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from atcgen.agent.lifecycle import State
from atcgen.agent.metrics import exposition
from atcgen.agent.tally import Tally

ODD = 'a\\b"c\nd'


def database(**more: Any) -> dict[str, Any]:
    """One that is not copied, unless more is said."""
    known = {"txid": None, "stored_txid": None, "copied_at": None, "lag": None, "error": ""}
    return {"name": "db.sqlite3", "size": 4096, **known, **more}


def tenant(name: str, **more: Any) -> dict[str, Any]:
    """One that never woke, unless more is said."""
    counted = {"wakes": 0, "failures": 0, "crashes": 0, "restarts": 0, "wake_seconds": None, "times_behind": 0}
    known = {"state": "stopped", "processes": 0, "waiting": 0, "last_access": 0, "is_behind": False, "restoring": None}
    return {"id": name, **counted, **known, "databases": [database()], **more}


def parsed(*tenants: dict[str, Any], **more: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Samples by name and labels."""
    text = exposition({"problem": "", "drill": None, "tenants": list(tenants), **more})
    families = list(text_string_to_metric_families(text))
    assert len({each.name for each in families}) == len(families)
    for each in families:
        assert each.type in ("gauge", "counter"), each.name
        assert each.documentation.endswith("."), each.name
        assert each.name.startswith("atc_"), each.name
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for each in families for one in each.samples}


def of(name: str) -> tuple[tuple[str, str], ...]:
    """The labels of a tenant."""
    return (("tenant", name),)


def test_a_tenant_is_counted() -> None:
    """All that is known, by its name."""
    counted = {"wakes": 3, "failures": 2, "crashes": 5, "restarts": 4, "wake_seconds": 0.25, "waiting": 7}
    found = parsed(tenant("a/x", state="ready", processes=1, last_access=1e9, **counted), tenant("a/y"))

    for name, value in (
        ("wakes_total", 3),
        ("start_failures_total", 2),
        ("crashes_total", 5),
        ("restarts_total", 4),
        ("last_wake_seconds", 0.25),
        ("waiting_requests", 7),
        ("processes", 1),
        ("last_request_timestamp_seconds", 1e9),
    ):
        assert found[f"atc_tenant_{name}", of("a/x")] == value, name
    assert found["atc_tenants_awake", ()] == 1
    assert found["atc_file_problem", ()] == 0
    states = {labels: value for (name, labels), value in found.items() if name == "atc_tenant_state" and value}
    assert set(states) == {(("state", "ready"), *of("a/x")), (("state", "stopped"), *of("a/y"))}
    assert ("atc_tenant_last_wake_seconds", of("a/y")) not in found


def test_a_database_has_its_lag() -> None:
    """What is not known is left out."""
    copied = database(name="data/a.db", size=8192, lag=0.5, copied_at=1e9, error="refused")
    found = parsed(tenant("a/x", databases=[copied, database()], is_behind=True, times_behind=2))

    labels = (("database", "data/a.db"), *of("a/x"))
    for name, value in (("size_bytes", 8192), ("lag_seconds", 0.5), ("copied_timestamp_seconds", 1e9), ("error", 1)):
        assert found[f"atc_database_{name}", labels] == value, name
    assert ("atc_database_lag_seconds", (("database", "db.sqlite3"), *of("a/x"))) not in found
    assert (found["atc_tenant_behind", of("a/x")], found["atc_tenant_fell_behind_total", of("a/x")]) == (1, 2)


def test_a_restore_and_a_drill_are_seen() -> None:
    """While there is one."""
    restoring = {"what": "files", "done": 43, "wanted": 100, "seconds_left": None}
    drill = {"at": 1e9, "tenant": "a/x", "problem": "damaged", "compared": False}
    found = parsed(tenant("a/x", restoring=restoring), drill=drill, problem="atc.yml:1:1: error")

    assert found["atc_tenant_restore_bytes", of("a/x")] == 43
    assert found["atc_tenant_restore_wanted_bytes", of("a/x")] == 100
    assert (found["atc_drill_success", ()], found["atc_drill_timestamp_seconds", ()]) == (0, 1e9)
    assert found["atc_file_problem", ()] == 1


def test_labels_may_hold_anything() -> None:
    """A backslash, a quote, a line break."""
    assert parsed(tenant(ODD))["atc_tenant_wakes_total", of(ODD)] == 0


def test_no_tenants_are_no_problem() -> None:
    """Only the machine is left."""
    assert set(parsed()) == {("atc_tenants_awake", ()), ("atc_file_problem", ())}


@pytest.mark.parametrize(
    ("states", "counted"),
    [
        (("stopped", "preparing", "starting", "ready"), Tally(wakes=1, last_wake=2.0)),
        (("stopped", "starting", "failed", "starting", "ready"), Tally(wakes=2, failures=1, last_wake=1.0)),
        (("ready", "draining", "ready"), Tally()),
        (("ready", "draining", "stopping", "stopped"), Tally()),
        (("ready", "draining", "stopping", "starting", "ready"), Tally(wakes=1, last_wake=1.0)),
        (("ready", "switching", "ready"), Tally()),
        (("ready", "stopped"), Tally(crashes=1)),
        (("ready", "starting", "ready"), Tally(crashes=1)),
        (("stopped", "starting", "stopping", "stopped"), Tally(wakes=1)),
    ],
)
def test_changes_of_state_are_counted(states: tuple[str, ...], counted: Tally) -> None:
    """Each takes a second."""
    tally = Tally()
    for second, (before, now) in enumerate(pairwise(states)):
        tally = tally.moved(State(before), State(now), float(second))

    assert tally == counted
    assert tally.restarted().restarts == 1
