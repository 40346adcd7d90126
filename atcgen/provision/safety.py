"""May the data of a machine go? What the store says of tenants before a machine or a disk is destroyed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
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
    """`tenants` are those of each user in atc.yml. `discards`: what was never copied may go; what is held may not."""

    vault: Callable[[], Vault] | None  # None: nothing is copied
    tenants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    discards: bool = False

    def of_machine(self, machine: str, user: str) -> Verdict:
        """Of one that exists; `user` is '' where several share it."""
        return self._verdict(user, lambda lease: lease.holder == machine)

    def of_volume(self, user: str | None, machines: Iterable[str]) -> Verdict:
        """Of a disk that no machine has: who went down with a tenant may have left its last changes there.

        `user` is None where it was of somebody who is not in atc.yml any more.
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
        known = {program_name(each.tenant.strip("/")) for each in leases if each.path}
        here = [one for owner, each in self.tenants.items() if user in ("", owner) for one in each]
        never = [each for each in here if program_name(each.strip("/")) not in known]
        return Verdict(held, tuple(f"nothing of {each} was ever copied" for each in never))

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
