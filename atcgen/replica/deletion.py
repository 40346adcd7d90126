"""Tenants that are gone for good: marked at first, so that it can be taken back, and deleted after a time of grace."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from dataclasses import replace

from atcgen.errors import AtcError, Unavailable
from atcgen.replica.lease import Claimant, Lease, read_lease
from atcgen.replica.site import Vault
from atcgen.system.store import Conflict

log = logging.getLogger("atc.agent")

_TENANTS = "tenants"
_LEASE = "/lease.json"


async def delete(vault: Vault, program: str, tenant: str) -> None:
    """Mark what there is of a tenant as deleted. Raises `HeldElsewhere` while a machine has it."""
    key = f"{_TENANTS}/{program}{_LEASE}"
    if await vault.store.get(key) is None:
        raise Unavailable(f"nothing of {tenant} was ever copied to {vault.plan.url}")
    nobody = secrets.token_hex(8)
    holder = await Claimant(vault.store, key, tenant, nobody, socket.gethostname(), vault.plan.lease).acquire()
    await holder.delete(time.time())


async def undelete(vault: Vault, program: str, tenant: str) -> None:
    """Take a deletion back."""
    key = f"{_TENANTS}/{program}{_LEASE}"
    found = await vault.store.get(key)
    lease = Lease.from_json(found.body, key) if found else None
    if found is None or lease is None or lease.deleted is None:
        raise Unavailable(f"{tenant} is not deleted, or its time of grace is over")
    fresh = replace(lease, deleted=None, held=False, nonce=secrets.token_hex(16))
    try:
        await vault.store.replace(key, fresh.to_json().encode(), found.tag)
    except Conflict:
        raise Unavailable(f"somebody else changed {tenant} just now", hint="try again") from None


async def purge(vault: Vault, now: float) -> list[str]:
    """Delete everything of tenants whose grace is over at `now`, in epoch seconds; their ids."""
    entries = await vault.store.entries(_TENANTS)
    gone = []
    for entry in [each for each in entries if each.key.endswith(_LEASE)]:
        try:
            lease = await read_lease(vault.store, entry.key)
            if lease is None or lease.deleted is None or now - lease.deleted < vault.plan.grace:
                continue
            prefix = entry.key.removesuffix("lease.json")
            # The lease goes last: what is left of a purge that was interrupted is found again.
            keys = [each.key for each in entries if each.key.startswith(prefix) and each.key != entry.key]
            await vault.store.delete([*keys, entry.key])
        except AtcError as problem:
            log.warning("tenant.not_purged key=%s reason=%r", entry.key, str(problem))
            continue
        log.warning("tenant.purged tenant=%s objects=%d", lease.tenant, len(keys) + 1)
        gone.append(lease.tenant)
    return gone
