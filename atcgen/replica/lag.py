"""How far the store is behind a database: what follows from looks at a running litestream. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LEAST = 10.0  # seconds that a copy may be late
_INTERVALS = 10
_ERROR = re.compile(
    r'level=ERROR .*?\bdb=(?P<quote>"?)(?P<name>[^"\s]+)(?P=quote) .*?\berror=(?P<why>"(?:[^"\\]|\\.)*"|\S+)'
)
_RECOVERED = re.compile(r'recovered" .*?\bdb="?(?P<name>[^"\s]+)')


@dataclass(frozen=True)
class Known:
    """What is known of the copy of one database. Times are in seconds of the epoch."""

    since: float  # when it was looked at first
    txid: int  # the last transaction that litestream has seen
    copied_at: float = 0.0  # when the store last had everything; 0 when that was not heard of
    stored_txid: int = 0  # up to which the store has it, for certain
    pending: tuple[tuple[int, int], ...] = ()  # transactions that were seen, and how many uploads ended since
    error: str = ""  # what litestream says is wrong, while it is late

    def lag(self, now: float) -> float:
        """For how many seconds the store may miss something."""
        return max(0.0, now - (self.copied_at or self.since))


def learn(before: Known | None, txid: int, copied_at: float, now: float) -> Known:
    """What is known after another look.

    An upload that ends after a look may have begun before it; the one after that has what was seen.
    """
    if before is None:
        return Known(now, txid, copied_at, 0, ((txid, 0),))
    ended = int(copied_at > before.copied_at)
    counted = [(seen, uploads + ended) for seen, uploads in before.pending]
    stored = max((seen for seen, uploads in counted if uploads > 1), default=0)
    pending = tuple(each for each in counted if each[1] < 2)
    return Known(
        before.since,
        txid,
        max(copied_at, before.copied_at),
        max(stored, before.stored_txid),
        (*pending, (txid, 0)) if ended or not pending else pending,
    )


def is_late(lag: float, sync: float) -> bool:
    """Is it worth asking why? Much less than what is worth a warning."""
    return lag > max(_LEAST, _INTERVALS * sync) / 2


def is_behind(lag: float, sync: float) -> bool:
    """Is it later than anybody expects, when changes are sent every `sync` seconds?"""
    return lag > max(_LEAST, _INTERVALS * sync)


def last_error(said: str, name: str) -> str:
    """What litestream's log says last is wrong with a database, unless it says later that it is mended."""
    found = ""
    base = name.rpartition("/")[2]
    for line in said.splitlines():
        if (error := _ERROR.search(line)) and error["name"] == base:
            found = error["why"].strip('"').replace('\\"', '"')
        elif (mended := _RECOVERED.search(line)) and mended["name"] == base:
            found = ""
    return found
