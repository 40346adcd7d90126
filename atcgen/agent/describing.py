"""What the agent knows of its tenants as plain data: for `atc status`, and for metrics."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

from atcgen.agent.keeper import Keeper
from atcgen.agent.service import Service
from atcgen.compiler.plan import Plan
from atcgen.errors import AtcError
from atcgen.system.logs import size_of

_NOT_COPIED: dict[str, object] = {
    "copies": "",
    "replica_path": "",
    "epoch": 0,
    "copied_at": 0.0,
    "restoring": None,
    "is_behind": False,
    "times_behind": 0,
}
_FOR_THE_STORE = 5.0  # seconds, after which it is not waited for


def status(service: Service, problem: str) -> dict[str, object]:
    """What every tenant does; `problem` says why the file is not what runs."""
    return {
        "file": str(Path(service.plan.base, Path(service.plan.file).name)),
        "problem": problem,
        "store": service.plan.store.url,
        "drill": _last_drill(service.plan),
        "tenants": [described(each) for each in service.keepers.values()],
    }


def _last_drill(plan: Plan) -> dict[str, object] | None:
    try:
        said: dict[str, object] = json.loads(Path(plan.paths.drill).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return said


def described(keeper: Keeper) -> dict[str, object]:
    """One tenant, without asking anybody."""
    plan, tenant, tally = keeper.plan, keeper.tenant, keeper.tally
    return {
        "id": plan.id,
        "path": plan.location,
        "host": plan.host,
        "state": tenant.state.value,
        "reason": tenant.reason,
        "pid": keeper.pids.get(tenant.slot, 0),
        "processes": len(keeper.pids),
        "waiting": len(keeper.waiting),
        "last_access": max(keeper.last_asked, keeper.last_access()),
        **(keeper.custodian.status() if keeper.custodian else _NOT_COPIED),
        "databases": _databases(keeper),
        "wakes": tally.wakes,
        "failures": tally.failures,
        "crashes": tally.crashes,
        "restarts": tally.restarts,
        "wake_seconds": tally.last_wake,
    }


def _databases(keeper: Keeper) -> list[dict[str, object]]:
    """Each database: its size here, with its log; and what is known of its copy while that goes on."""
    known = keeper.custodian.copies.gauge.databases if keeper.custodian else {}
    now, found = time.time(), []
    for path in map(Path, keeper.plan.databases):
        name = os.path.relpath(path, keeper.plan.directory)
        copy = known.get(name)
        found.append(
            {
                "name": name,
                "size": size_of(path) + size_of(Path(f"{path}-wal")),
                "txid": copy.txid if copy else None,
                "stored_txid": copy.stored_txid if copy else None,
                "copied_at": copy.copied_at if copy else None,
                "lag": round(copy.lag(now), 3) if copy else None,
                "error": copy.error if copy else "",
            }
        )
    return found


async def stored(keeper: Keeper) -> dict[str, object]:
    """How many bytes the store holds of each database of a tenant, which it is asked for; empty when it is silent."""
    if keeper.custodian is None:
        return {"stored": {}}
    from atcgen.replica.restoring import stored_sizes  # noqa: PLC0415 - only those who copy need it

    custodian = keeper.custodian
    try:
        async with asyncio.timeout(_FOR_THE_STORE):
            return {"stored": await stored_sizes(custodian.site, custodian.plan)}
    except (AtcError, TimeoutError):
        return {"stored": {}}
