"""What each machine says of itself: which edition it runs, and whether it is awake."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

from atcgen.fleet.sealing import Forged, seal, unseal
from atcgen.system.store import Store

FOLDER = "fleet/machines"
_KIND = "report"
REPEATED = 300.0  # seconds after which a machine that is awake says so again


@dataclass(frozen=True)
class Report:
    """A machine as it was when it said so."""

    machine: str
    region: str
    instance: str
    address: str  # where it listens, as far as it knows
    version: str  # of atc
    runs: int  # the number of the edition; 0 for an atc.yml of its own
    edited: bool  # somebody changed atc.yml on the machine since
    refused: int  # a newer edition that it does not run; 0 for none
    why: str
    since: float  # when what runs began to, in seconds of the epoch
    awake: bool
    at: float  # when it said so

    def is_silent(self, now: float) -> bool:
        """Did it not say that it sleeps, and was not heard of since? It was destroyed, or cannot reach the store."""
        return self.awake and now - self.at > 2 * REPEATED


def key_of(machine: str) -> str:
    """Where the report of a machine lies."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", machine) or "_"
    return f"{FOLDER}/{plain}.json"


async def write(store: Store, report: Report, secret: str) -> None:
    """Put it into the store."""
    await store.put(key_of(report.machine), seal(_KIND, asdict(report), secret))


async def read_all(store: Store, secret: str) -> list[Report]:
    """Those of all machines, by name; what is not signed says nothing."""
    keys = [each.key for each in await store.entries(FOLDER) if each.key.endswith(".json")]
    bodies = await asyncio.gather(*(store.get(each) for each in keys))
    found = (_read(key, each.body, secret) for key, each in zip(keys, bodies, strict=True) if each)
    return sorted((each for each in found if each), key=lambda each: (each.region, each.machine))


async def forget(store: Store, reports: Iterable[Report], machines: Collection[str]) -> list[str]:
    """Drop those of machines with an instance that do not exist any more; their names."""
    gone = [each.machine for each in reports if each.instance and each.instance not in machines]
    if gone:
        await store.delete([key_of(each) for each in gone])
    return gone


def _read(key: str, body: bytes, secret: str) -> Report | None:
    try:
        report = Report(**unseal(_KIND, body, secret))
    except (Forged, TypeError):
        return None
    return report if key_of(report.machine) == key else None
