"""May the data of a machine go? What the store says of tenants before a machine or a disk is destroyed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from atcgen.compiler.names import program_name
from atcgen.replica.lease import Lease, read_lease
from atcgen.replica.site import Vault

_PREFIX, _LEASE = "tenants", "/lease.json"
_AT_ONCE = 16  # questions to the store


@dataclass(frozen=True)
class Verdict:
    """Why data may not go: what time will cure, and what it will not."""

    held: tuple[str, ...] = ()  # tenants that the machine has
    unsaved: tuple[str, ...] = ()  # sentences

    @property
    def is_safe(self) -> bool:
        """May it go?"""
        return not self.held and not self.unsaved


@dataclass(frozen=True)
class Safety:
    """`tenants` are those of each user in atc.yml. `discards`: what was never copied may go; what is held may not.

    `former` says the tenants of users who left atc.yml; a user whom it does not name may have had any. Leases alone do
    not say it: a tenant has none that last ran before `storage.replica` was set.
    """

    vault: Callable[[], Vault] | None  # None: nothing is copied
    tenants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    discards: bool = False
    former: Callable[[], Mapping[str, tuple[str, ...]]] = dict

    def of_machine(self, machine: str, user: str) -> Verdict:
        """Of one that exists; `user` is '' where several share it."""
        return self._verdict(user, lambda lease: lease.holder == machine)

    def of_volume(self, user: str | None, machines: Iterable[str]) -> Verdict:
        """Of a disk that no machine has: who went down with a tenant may have left its last changes there.

        `user` is None where nobody knows whose it was.
        """
        known = set(machines)
        return self._verdict(user, lambda lease: lease.holder not in known)

    def _verdict(self, user: str | None, matters: Callable[[Lease], bool]) -> Verdict:
        if self.vault is None:
            said = "nothing is copied: storage.replica says where to"
            return Verdict(unsaved=() if self.discards else (said,))
        leases = asyncio.run(_leases(self.vault()))
        mine = self._mine(user, leases)
        held = tuple(sorted(each.tenant for each in mine if each.held and matters(each)))
        if self.discards:
            return Verdict(held)
        return Verdict(held, tuple(self._unsaved(user, mine)))

    def _unsaved(self, user: str | None, mine: list[Lease]) -> Iterator[str]:
        """Why what was never copied may be there. A tenant that was deleted has nothing to lose."""
        copied = {program_name(each.tenant.strip("/")) for each in mine if each.path or each.deleted is not None}
        had = None if user is None else self._had(user)
        if had is None:
            whose = f"which tenants {user} had" if user else "whose it was"
            yield f"nothing says {whose}, and whether all of it was copied"
        for each in dict.fromkeys((*(had or ()), *(lease.tenant for lease in mine))):
            if program_name(each.strip("/")) not in copied:
                yield f"nothing of {each} was ever copied"

    def _had(self, user: str) -> tuple[str, ...] | None:
        """The tenants of a user, or of all where several share it; None when nothing says them."""
        if user in self.tenants and user:
            return self.tenants[user]
        former = self.former()
        if user:
            return former.get(user)
        return tuple(one for each in (*self.tenants.values(), *former.values()) for one in each)

    def users(self) -> Iterator[str]:
        """Everybody who is known to have had a machine, whether or not they left."""
        yield from (each for each in self.tenants if each)
        yield from self.former()

    def _mine(self, user: str | None, leases: list[Lease]) -> list[Lease]:
        """Those of a user, of users that left, or all."""
        owners = [(each, each.tenant.partition("/")[0]) for each in leases]
        if user is None:
            return [each for each, owner in owners if owner not in self.tenants]
        return [each for each, owner in owners if user in ("", owner)]


async def _leases(vault: Vault) -> list[Lease]:
    """Every lease of the store."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(key: str) -> Lease | None:
        async with gate:
            return await read_lease(vault.store, key)

    keys = [each.key for each in await vault.store.entries(_PREFIX) if each.key.endswith(_LEASE)]
    return [lease for lease in await asyncio.gather(*(one(each) for each in keys)) if lease]
