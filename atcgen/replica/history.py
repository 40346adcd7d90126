"""What can be restored of a tenant, and from where: pure, from its lease and a listing of the store."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from atcgen.errors import Unavailable
from atcgen.replica.lease import Chapter, Lease
from atcgen.replica.restoring import Moment
from atcgen.system.store import Entry

_PATH = re.compile(r"e(\d+)\.(\d+)")
_ALWAYS_KEPT = 2  # the truth, and what was it before


@dataclass(frozen=True)
class Past:
    """One path of the store, and what it can tell of."""

    path: str
    begun: datetime
    ended: datetime | None  # None: until now
    size: int  # bytes
    is_truth: bool


def pasts(lease: Lease, entries: Iterable[Entry], key: str) -> list[Past]:
    """What there is, the oldest first."""
    sizes: dict[str, int] = {}
    for each in entries:
        path = path_of(each, key)
        sizes[path] = sizes.get(path, 0) + each.size
    return [
        Past(
            each.path,
            _time(each.begun),
            _time(each.ended) if each.ended is not None else None,
            sizes.get(each.path, 0),
            each.path == lease.path,
        )
        for each in lease.history
    ]


def spans(entries: Iterable[Entry], key: str) -> dict[str, tuple[float, float]]:
    """The paths of databases that are there, the oldest first: when their first and their last object was written."""
    found: dict[str, tuple[float, float]] = {}
    for each in entries:
        path = path_of(each, key)
        if _PATH.fullmatch(path):
            first, last = found.get(path, (each.modified, each.modified))
            found[path] = min(first, each.modified), max(last, each.modified)
    return dict(sorted(found.items(), key=lambda item: _order(item[0])))


def moment(
    lease: Lease, at: datetime | None, txid: int | None, entries: Iterable[Entry], key: str, names: Collection[str]
) -> Moment:
    """The state at a time, or after a transaction of what is the truth now; the latest when neither is said.

    `names` are the databases that the tenant may have. Raises `Unavailable` when nothing tells of it.
    """
    if at is not None and txid is not None:
        raise Unavailable("a time and a transaction are two moments", hint="say one of --at and --txid")
    if not lease.path:
        raise Unavailable(f"nothing of {lease.tenant} was ever copied")
    if txid is not None:
        known = [name for name, _ in lease.databases] or names  # a lease that is held does not say
        if len(known) > 1:
            raise Unavailable("a transaction is of one database, and there are several", hint="say a time: --at")
        return Moment(lease.path, dict.fromkeys(known, txid))
    if at is None:
        return Moment(lease.path, dict(lease.databases))
    earlier = [each for each in lease.history if each.begun <= at.timestamp()]
    if not earlier:
        first = f", which begins {_time(lease.history[0].begun):%Y-%m-%d %H:%M:%S} UTC" if lease.history else ""
        raise Unavailable(f"{at:%Y-%m-%d %H:%M:%S %Z} is before what can be restored of {lease.tenant}{first}")
    path = earlier[-1].path
    last = max((each.modified for each in entries if path_of(each, key) == path), default=0.0)
    # After its last change a path has no such time; its latest state is what there was then.
    return Moment(path, at=at if at.timestamp() < last else None)


def epoch_of(path: str) -> int:
    """The epoch of the lease in which a path was written."""
    return _order(path)[0]


def last_number(entries: Iterable[Entry], key: str, epoch: int) -> int:
    """The highest number of a path of an epoch that anybody used; 0 when nobody did."""
    return max((_order(each)[1] for each in spans(entries, key) if epoch_of(each) == epoch), default=0)


def forgettable(lease: Lease, now: float, retention: float) -> list[str]:
    """The paths whose time is over."""
    old = [each for each in lease.history[:-_ALWAYS_KEPT] if _ended(each, lease) < now - retention]
    return [each.path for each in old if each.path != lease.path]


def abandoned(lease: Lease, entries: Iterable[Entry], key: str) -> Iterator[str]:
    """Keys of objects of paths that never became the truth, and never will: they are of an earlier epoch."""
    known = {each.path for each in lease.history}
    for each in entries:
        path = path_of(each, key)
        found = _PATH.fullmatch(path)
        if found and path not in known and int(found[1]) < lease.epoch:
            yield each.key


def _ended(chapter: Chapter, lease: Lease) -> float:
    """When it stopped being the truth: when the next one began."""
    later = [each.begun for each in lease.history if each.begun > chapter.begun]
    return min(later) if later else float("inf")


def path_of(entry: Entry, key: str) -> str:
    """The path that an object belongs to, or what stands in its place."""
    return entry.key.removeprefix(f"{key}/").partition("/")[0]


def _order(path: str) -> tuple[int, int]:
    found = _PATH.fullmatch(path)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
