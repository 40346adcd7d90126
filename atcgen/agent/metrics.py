"""Metrics in the text format of Prometheus, from what `atc status --json` says. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from atcgen.agent.lifecycle import AWAKE, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = tuple[tuple[str, str], ...]
Sample = tuple[Labels, float | None]  # None is left out
Data = Mapping[str, Any]

# Name without atc_, type, meaning, value of a tenant; those of counters begin at zero when the agent begins.
_OF_TENANTS: tuple[tuple[str, str, str, Callable[[Data], float | None]], ...] = (
    ("waiting_requests", "gauge", "Requests that are held until the tenant is ready.", lambda t: t["waiting"]),
    ("processes", "gauge", "Processes that it has.", lambda t: t["processes"]),
    ("wakes_total", "counter", "Starts of a tenant that was at rest.", lambda t: t["wakes"]),
    ("start_failures_total", "counter", "Starts that failed.", lambda t: t["failures"]),
    ("crashes_total", "counter", "Processes that ended by themselves while they were ready.", lambda t: t["crashes"]),
    ("restarts_total", "counter", "Restarts, by order or after an edit.", lambda t: t["restarts"]),
    ("last_wake_seconds", "gauge", "How long the last wake took.", lambda t: t["wake_seconds"]),
    ("last_request_timestamp_seconds", "gauge", "When the last request was.", lambda t: t["last_access"] or None),
    ("behind", "gauge", "1 while the store is later than expected.", lambda t: int(t["is_behind"])),
    ("fell_behind_total", "counter", "How often the store fell behind.", lambda t: t["times_behind"]),
    ("restore_bytes", "gauge", "Bytes that the restore which goes on has made.", lambda t: _restored(t, "done")),
    ("restore_wanted_bytes", "gauge", "Bytes that it will make.", lambda t: _restored(t, "wanted")),
)
_OF_DATABASES: tuple[tuple[str, str, str, Callable[[Data], float | None]], ...] = (
    ("size_bytes", "gauge", "Its size on this machine, with its log.", lambda d: d["size"]),
    ("lag_seconds", "gauge", "For how long the store may have missed something.", lambda d: d["lag"]),
    ("copied_timestamp_seconds", "gauge", "When the store last had everything.", lambda d: d["copied_at"] or None),
    ("error", "gauge", "1 while litestream says that it cannot copy it.", lambda d: int(bool(d["error"]))),
)


def exposition(said: Data) -> str:
    """The text of all metrics."""
    tenants: list[Data] = said["tenants"]
    parts = [*_of_the_machine(said), *_of_tenants(tenants), *_of_databases(tenants)]
    return "".join(parts)


def _of_the_machine(said: Data) -> Iterator[str]:
    awake = sum(State(each["state"]) in AWAKE for each in said["tenants"])
    yield _family("tenants_awake", "gauge", "Tenants that have a process or are about to.", [((), awake)])
    problem = int(bool(said["problem"]))
    yield _family("file_problem", "gauge", "1 while atc.yml is not what runs.", [((), problem)])
    drill = said["drill"]
    if drill:
        good = int(not drill["problem"])
        yield _family("drill_success", "gauge", "1 if the last restore on trial went well.", [((), good)])
        yield _family("drill_timestamp_seconds", "gauge", "When that was.", [((), drill["at"])])


def _of_tenants(tenants: list[Data]) -> Iterator[str]:
    states: list[Sample] = [
        ((("tenant", each["id"]), ("state", state.value)), int(each["state"] == state.value))
        for each in tenants
        for state in State
    ]
    yield _family("tenant_state", "gauge", "1 for the state that the tenant is in.", states)
    for name, kind, meaning, value in _OF_TENANTS:
        yield _family(f"tenant_{name}", kind, meaning, [((("tenant", each["id"]),), value(each)) for each in tenants])


def _of_databases(tenants: list[Data]) -> Iterator[str]:
    found = [(tenant, database) for tenant in tenants for database in tenant["databases"]]
    for name, kind, meaning, value in _OF_DATABASES:
        samples: list[Sample] = [
            ((("tenant", tenant["id"]), ("database", database["name"])), value(database)) for tenant, database in found
        ]
        yield _family(f"database_{name}", kind, meaning, samples)


def _restored(tenant: Data, key: str) -> float | None:
    return tenant["restoring"][key] if tenant["restoring"] else None


def _family(name: str, kind: str, meaning: str, samples: Iterable[Sample]) -> str:
    """One metric; nothing where no value is known."""
    lines = [f"atc_{name}{_labels(labels)} {value!r}\n" for labels, value in samples if value is not None]
    return "".join([f"# HELP atc_{name} {meaning}\n", f"# TYPE atc_{name} {kind}\n", *lines]) if lines else ""


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
