"""Who owns the databases of a tenant: one object in the store, changed only by conditional writes.

No clock of one machine is compared with that of another. A holder counts from the start of its last write that
succeeded, and stops after two thirds of the lease's time; a claimant counts from when it first saw the object as it
still is, and waits for all of it. Since it cannot see a write before the write began, the holder is always first.
"""

from __future__ import annotations

import asyncio
import json
import math
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from atcgen.errors import AtcError
from atcgen.system.store import Conflict, Found, Store, StoreError

Clock = Callable[[], float]
_SAFE_SHARE = 2 / 3
_TRIES = 3
_RELEASED = "it was released"
_DELETED = "the tenant was deleted"


class HeldElsewhere(AtcError):
    """Somebody else has the lease; in `seconds` it can be taken, unless they renew it."""

    def __init__(self, holder: str, seconds: float) -> None:
        super().__init__(f"{holder} has it, until it gives it back or its lease is not renewed")
        self.holder = holder
        self.seconds = seconds


class Deleted(AtcError):
    """The tenant was deleted: nobody may take its lease."""


class Lost(AtcError):
    """The lease is not ours any more: stop writing."""


class CarefulClock:
    """Seconds that never go back, and rather too many than too few.

    CLOCK_MONOTONIC stands still while the machine sleeps. CLOCK_BOOTTIME goes on, but not when a virtual machine is
    paused or comes back from a snapshot; then only the wall clock jumps, once somebody sets it. So each step is the
    larger of both. A wall clock that goes back has no effect. One that is set forward for another reason makes a lease
    look older than it is, which costs a write and endangers nothing; for waiting until somebody else's lease is over
    it would be wrong.
    """

    def __init__(self, boot: Clock = lambda: time.clock_gettime(time.CLOCK_BOOTTIME), wall: Clock = time.time) -> None:
        self._boot, self._wall = boot, wall
        self._last_boot, self._last_wall = boot(), wall()
        self._now = 0.0
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            boot, wall = self._boot(), self._wall()
            self._now += max(boot - self._last_boot, wall - self._last_wall, 0.0)
            self._last_boot, self._last_wall = boot, wall
            return self._now


lease_clock = CarefulClock()


@dataclass(frozen=True)
class Chapter:
    """A replica path, and the epoch seconds for which it is the truth.

    `ended` is None while it is written to. Between two chapters nothing was written, so the earlier one still tells.
    """

    path: str
    begun: float
    ended: float | None


@dataclass(frozen=True)
class Lease:
    """The object. `holder` names the machine for people, `owner` says who may take the lease back at once."""

    tenant: str
    epoch: int  # grows with every acquisition
    owner: str
    holder: str
    held: bool
    ttl: float  # seconds
    path: str = ""  # where the truth is; '' means that nothing was ever published
    databases: tuple[tuple[str, int], ...] = ()  # file name and transaction that `path` has, after an orderly release
    history: tuple[Chapter, ...] = ()
    nonce: str = ""  # new with every write, so that a writer recognises its own
    deleted: float | None = None
    files: str = ""  # which list of files is the truth; '' means that none was ever copied

    def to_json(self) -> str:
        """As text, for the store."""
        return json.dumps({**asdict(self), "databases": dict(self.databases)}, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes, key: str, tenant: str = "") -> Lease:
        """From text. What a newer version added is ignored; `StoreError` names `key` when anything else is wrong, and
        when it is not that of the tenant.
        """
        try:
            said = _object(json.loads(text), "it")
            lease = cls(
                tenant=_take(said, "tenant", str),
                epoch=_take(said, "epoch", int),
                owner=_take(said, "owner", str),
                holder=_take(said, "holder", str),
                held=_take(said, "held", bool),
                ttl=_number(said, "ttl"),
                path=_take(said, "path", str),
                databases=_databases(_take(said, "databases", dict)),
                history=tuple(_chapter(each) for each in _take(said, "history", list)),
                nonce=_take(said, "nonce", str),
                deleted=_number_or_none(said, "deleted"),
                files=_take({"files": "", **said}, "files", str),
            )
            if lease.epoch < 1 or lease.ttl <= 0:
                raise ValueError("epoch or ttl is too small")
            if tenant and lease.tenant != tenant:
                raise ValueError(f"it is the lease of {lease.tenant}")
        except (ValueError, OverflowError, RecursionError) as problem:
            raise StoreError(f"{key} is damaged: {problem}") from None
        return lease


async def read_lease(store: Store, key: str, tenant: str = "") -> Lease | None:
    """The lease as it is in the store; None when there is none. Raises `StoreError`, also when it is another's."""
    found = await store.get(key)
    return Lease.from_json(found.body, key, tenant) if found else None


async def anybody(_old: Lease | None, _fresh: Lease) -> None:
    """Nothing speaks against taking a lease."""


def _databases(said: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    return tuple((name, _take(said, name, int)) for name in said)


def _chapter(value: Any) -> Chapter:
    said = _object(value, "history")
    return Chapter(_take(said, "path", str), _number(said, "begun"), _number_or_none(said, "ended"))


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object")
    return value


def _take(said: Mapping[str, Any], name: str, *kinds: type) -> Any:
    """A value that is exactly of one of these kinds: a bool is no int."""
    if name not in said:
        raise ValueError(f"{name} is missing")
    if type(said[name]) not in kinds:
        raise ValueError(f"{name} is {json.dumps(said[name])[:50]}")
    return said[name]


def _number(said: Mapping[str, Any], name: str) -> float:
    value = float(_take(said, name, int, float))
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}")
    return value


def _number_or_none(said: Mapping[str, Any], name: str) -> float | None:
    return None if said.get(name, 0) is None else _number(said, name)


class Claimant:
    """Takes the lease of one tenant. It remembers what it saw, so one that is asked again and again must be kept."""

    def __init__(
        self,
        store: Store,
        key: str,
        tenant: str,
        owner: str,
        holder: str,
        ttl: float,
        *,
        clock: Clock = lease_clock,
        patience: Clock = time.monotonic,
        check: Callable[[Lease | None, Lease], Awaitable[None]] = anybody,
    ) -> None:
        """`clock` is what the holder will go by, and may be fast; `patience` measures waiting, and may be slow.

        `check` gets the lease as it is, if there is one, and as it would be; it raises what speaks against taking it.
        """
        self._store, self._key = store, key
        self._ours = Lease(tenant, 0, owner, holder, held=True, ttl=ttl)
        self._clock, self._patience, self._check = clock, patience, check
        self._seen: tuple[str, float] | None = None

    async def acquire(self) -> Holder:
        """The lease, from now on ours; raises `HeldElsewhere`, `Deleted`, `StoreError` or what the check does."""
        asked = self._patience()
        found = await self._store.get(self._key)
        old = self._takeable(found, asked) if found else None
        fresh = self._fresh(old or self._ours)
        await self._check(old, fresh)
        started = self._clock()
        body = fresh.to_json().encode()
        try:
            if found is None:
                tag = await self._store.create(self._key, body)
            else:
                tag = await self._store.replace(self._key, body, found.tag)
        except Conflict:
            tag = ""
        if not tag:
            raise await self._outrun()
        return Holder(self._store, self._key, fresh, tag, started + fresh.ttl * _SAFE_SHARE, self._clock)

    def _fresh(self, old: Lease) -> Lease:
        ours = self._ours
        return replace(
            old,
            tenant=ours.tenant,
            epoch=old.epoch + 1,
            owner=ours.owner,
            holder=ours.holder,
            held=True,
            ttl=ours.ttl,
            nonce=_nonce(),
        )

    def _takeable(self, found: Found, asked: float) -> Lease:
        """The lease of an object that was asked for at a time; raises unless we may take it."""
        lease = Lease.from_json(found.body, self._key, self._ours.tenant)
        if lease.deleted is not None:
            raise Deleted(f"{lease.tenant} was deleted; to take that back: atc tenant restore {lease.tenant}")
        if lease.held and lease.owner != self._ours.owner:
            if self._seen is None or self._seen[0] != found.tag:
                self._seen = found.tag, self._patience()  # it was like this before now, and not necessarily longer
            left = self._seen[1] + lease.ttl - asked
            if left > 0:
                raise HeldElsewhere(lease.holder, min(left, lease.ttl))
        return lease

    async def _outrun(self) -> HeldElsewhere:
        """Somebody was quicker: who? `Deleted` when they deleted it."""
        asked = self._patience()
        found = await self._store.get(self._key)
        try:
            lease = self._takeable(found, asked) if found else None
        except HeldElsewhere as held:
            return held
        return HeldElsewhere(lease.holder if lease else "somebody", 0)  # and gave it back since


class Holder:
    """A lease that is ours, until `Lost`. Writes are one at a time.

    A write whose outcome is not known is resolved by the next one, which reads first: the object may be as it was
    before, or as one of our attempts made it. An attempt may arrive as late as it likes, until another has succeeded.
    """

    def __init__(self, store: Store, key: str, lease: Lease, tag: str, safe_until: float, clock: Clock) -> None:
        self.lease = lease
        self.safe_until = safe_until  # on our clock; after that, somebody else may have the lease
        self._store, self._key, self._tag, self._clock = store, key, tag, clock
        self._attempts: dict[str, float] = {}  # nonces of writes whose outcome is unknown, and when they began
        self._restored = False
        self._over = ""
        self._one_at_a_time = asyncio.Lock()

    def to_json(self) -> str:
        """What a later process needs in order to go on holding it. It may be old by then."""
        return json.dumps({"lease": self.lease.to_json(), "tag": self._tag})

    @classmethod
    def from_json(cls, store: Store, key: str, text: str, clock: Clock = lease_clock) -> Holder:
        """A lease that an earlier process held; nobody knows for how long, so nothing is safe before `renew`."""
        try:
            said = _object(json.loads(text), "it")
            lease, tag = Lease.from_json(_take(said, "lease", str), key), _take(said, "tag", str)
        except (ValueError, RecursionError) as problem:
            raise StoreError(f"what was noted about holding {key} is damaged: {problem}") from None
        holder = cls(store, key, lease, tag, -math.inf, clock)
        holder._restored = True
        if not lease.held:
            holder._end(_RELEASED)
        return holder

    async def renew(self) -> None:
        """Hold it for another `ttl`; also after a release of which nobody knows whether it happened."""
        await self._write(lambda lease: replace(lease, held=True))

    async def point(self, path: str, now: float) -> None:
        """Make a path the truth; `now` is in epoch seconds. What was known about databases was about the last path."""

        def change(lease: Lease) -> Lease:
            if lease.path == path and lease.history and lease.history[-1].ended is None:
                return replace(lease, held=True)  # an attempt that happened after all
            chapters = (*_ended(lease.history, now), Chapter(path, now, None))
            return replace(lease, held=True, path=path, databases=(), history=chapters)

        await self._write(change)

    async def point_files(self, version: str) -> None:
        """Make a list of files the truth."""
        await self._write(lambda lease: replace(lease, held=True, files=version))

    async def forget_chapters(self, paths: Collection[str]) -> None:
        """Drop paths from the history, when what they held is gone; never the one that is the truth."""

        def change(lease: Lease) -> Lease:
            kept = tuple(each for each in lease.history if each.path == lease.path or each.path not in paths)
            return replace(lease, held=True, history=kept)

        await self._write(change)

    async def release(self, databases: Mapping[str, int], now: float) -> None:
        """Give it back, with what the path has of each database. It is over when this returns."""
        known = tuple(databases.items())
        await self._write(
            lambda lease: replace(lease, held=False, databases=known, history=_ended(lease.history, now)),
            over=_RELEASED,
        )

    async def delete(self, now: float) -> None:
        """Give it back for good: nobody will take it again."""

        def change(lease: Lease) -> Lease:
            deleted = now if lease.deleted is None else lease.deleted
            return replace(lease, held=False, deleted=deleted, history=_ended(lease.history, now))

        await self._write(change, over=_DELETED)

    async def _write(self, change: Callable[[Lease], Lease], over: str = "") -> None:
        """Change the object; `over` says why the lease is not ours afterwards."""
        async with self._one_at_a_time:
            self._check()
            if self._attempts or self._restored:
                await self._resolve()
            for _ in range(_TRIES):
                wanted = change(self.lease)
                if over and wanted == self.lease:  # an attempt happened after all, and somebody may have it already
                    break
                if self.lease.deleted is not None:
                    self._end(_DELETED)
                    self._check()
                if await self._attempt(wanted):
                    break
                await self._resolve()
            else:
                raise StoreError(f"{self._key} cannot be written: its store reports conflicts that there are not")
            if over:
                self._end(over)

    async def _attempt(self, wanted: Lease) -> bool:
        """One conditional write. False: the object is not as we believed, and may be ours nevertheless."""
        fresh = replace(wanted, nonce=_nonce())
        started = self._clock()
        self._attempts[fresh.nonce] = started  # stays there if this fails or is cancelled
        try:
            tag = await self._store.replace(self._key, fresh.to_json().encode(), self._tag)
        except Conflict:
            return False
        self._settle(fresh, tag, started)
        return True

    async def _resolve(self) -> None:
        """Read what the object is; raises `Lost` when it is not ours."""
        found = await self._store.get(self._key)
        if found is not None and found.tag == self._tag:
            self._restored = False
            return
        lease = Lease.from_json(found.body, self._key) if found else None
        if found and lease and lease.nonce in self._attempts:
            self._settle(lease, found.tag, self._attempts[lease.nonce])
        elif found and lease and self._restored and self._is_our_acquisition(lease):
            self._settle(lease, found.tag, -math.inf)
        else:
            self._end(f"{lease.holder} has it" if lease and lease.epoch > self.lease.epoch else "it was changed")
            self._check()

    def _is_our_acquisition(self, lease: Lease) -> bool:
        """Is it still held since we took it? Then we wrote it, for every acquisition has an epoch of its own."""
        return lease.held and (lease.epoch, lease.owner) == (self.lease.epoch, self.lease.owner)

    def _settle(self, lease: Lease, tag: str, started: float) -> None:
        """The object is known to be this. The tag is new, so that no earlier attempt can succeed any more."""
        self.lease, self._tag = lease, tag
        self._attempts.clear()
        self._restored = False
        self.safe_until = max(self.safe_until, started + lease.ttl * _SAFE_SHARE)

    def _end(self, why: str) -> None:
        self._over = why
        self.safe_until = -math.inf

    def _check(self) -> None:
        if self._over:
            raise Lost(f"the lease of {self.lease.tenant} is not ours any more: {self._over}")


def _ended(history: tuple[Chapter, ...], now: float) -> tuple[Chapter, ...]:
    return tuple(replace(each, ended=now) if each.ended is None else each for each in history)


def _nonce() -> str:
    return secrets.token_hex(16)
