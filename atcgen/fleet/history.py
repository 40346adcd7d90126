"""The editions in the store. None is ever changed: the next one is another object, which only one of two can create."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from atcgen.compiler.plan import SharedPlan
from atcgen.errors import Unavailable
from atcgen.fleet.editions import FOLDER, Edition, key_of, number_of, sealed, unsealed
from atcgen.fleet.sealing import Forged
from atcgen.system.store import Store, open_store

_AT_ONCE = 16


@dataclass(frozen=True)
class Refused:
    """An object that is named like an edition and is none."""

    number: int
    why: str


@dataclass(frozen=True)
class Newest:
    """What a look at the store found."""

    edition: Edition | None  # the one with the highest number that is signed
    refused: tuple[Refused, ...] | None = ()  # what has a higher number and is not; None when nobody looked
    free: int = 1  # the first number after it that nobody took


class History:
    """The editions of a fleet."""

    def __init__(self, store: Store, secret: str) -> None:
        self.store = store
        self.secret = secret

    async def newest(self, above: int = 0) -> Newest:
        """The newest edition, if its number is higher than this."""
        numbers = await self._numbers()
        refused: list[Refused] = []
        for number in reversed([each for each in numbers if each > above]):
            found = await self._read(number)
            if isinstance(found, Edition):
                return Newest(found, tuple(refused), _free(number, numbers))
            if found:
                refused.append(found)
        return Newest(None, tuple(refused), _free(above, numbers))

    async def next(self, after: int) -> Newest:
        """As `newest`, for who has looked before: one request where there is nothing new."""
        if await self.store.get(key_of(after + 1)) is None:
            return Newest(None, None, after + 1)
        return await self.newest(after)

    async def read(self, number: int) -> Edition:
        """One edition."""
        found = await self._read(number)
        if found is None:
            raise Unavailable(f"there is no edition {number}", hint="atc history lists them")
        if isinstance(found, Refused):
            raise Unavailable(f"edition {number} is not to be trusted: {found.why}")
        return found

    async def last(self, count: int) -> list[Edition | Refused]:
        """The last editions, newest first."""
        numbers = (await self._numbers())[-count:]
        found: list[Edition | Refused] = []
        for begin in range(0, len(numbers), _AT_ONCE):
            some = await asyncio.gather(*(self._read(each) for each in numbers[begin : begin + _AT_ONCE]))
            found += [each for each in some if each]
        return found[::-1]

    async def add(self, edition: Edition, newest: Newest) -> Edition:
        """Make an edition the next one after what was found; raises `Conflict` when somebody was quicker."""
        fresh = replace(edition, number=newest.free, parent=newest.edition.number if newest.edition else 0)
        await self.store.create(key_of(fresh.number), sealed(fresh, self.secret))
        return fresh

    async def _numbers(self) -> list[int]:
        found = (number_of(each.key) for each in await self.store.entries(FOLDER))
        return sorted(each for each in found if each)

    async def _read(self, number: int) -> Edition | Refused | None:
        found = await self.store.get(key_of(number))
        if found is None:
            return None
        try:
            return unsealed(found.body, number, self.secret)
        except Forged as problem:
            return Refused(number, str(problem))


def _free(number: int, taken: list[int]) -> int:
    """The first number above this one that is not taken: what is no edition does not hold up who pushes."""
    number += 1
    while number in taken:
        number += 1
    return number


def written(text: str, who: str, message: str) -> Edition:
    """An edition that has no number yet."""
    return Edition(0, text, who, datetime.now(UTC).isoformat(timespec="seconds"), message, 0)


def open_history(shared: SharedPlan, environ: Mapping[str, str]) -> History:
    """The history that a plan names; it is not asked anything yet."""
    if not shared.url:
        raise Unavailable("atc.yml names no store for itself", hint="set fleet.config, such as s3://BUCKET/PREFIX")
    if not shared.secret:
        raise Unavailable("nothing signs what is pushed", hint="set fleet.secret, such as ${ENV:FLEET_SECRET}")
    store = open_store(shared.url, endpoint=shared.endpoint, region=shared.region, credentials=environ)
    return History(store, shared.secret)
