"""Copies in the store of which no lease says that they are the truth, or that they are not: nothing starts beside them.

A lease is only made where nothing lies. So where copies are and no lease speaks of them, it was lost, or is not the one
that belongs to them.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterable
from dataclasses import replace

from atcgen.compiler.plan import TenantPlan
from atcgen.errors import Unavailable
from atcgen.replica import files, history
from atcgen.replica.custody import Marker
from atcgen.replica.fetching import prefix_of
from atcgen.replica.lease import Chapter, Lease
from atcgen.replica.site import Vault
from atcgen.system.store import Conflict, Entry, Store, StoreError


async def refuse(store: Store, key: str, lease: Lease | None, marker: Marker | None) -> None:
    """Raise `Unavailable` when there are strays. The store is asked only if the lease speaks of no copy."""
    if lease and lease.path:
        return
    found = strays(lease, marker, await store.entries(key), key)
    if not found:
        return
    raise Unavailable(
        f"the store has copies of it ({', '.join(found[-3:])}) and no lease that says which is the truth",
        hint="atc backup reinstate makes one of them the truth",
    )


def strays(lease: Lease | None, marker: Marker | None, entries: Iterable[Entry], key: str) -> list[str]:
    """Paths of databases that may be the truth though the lease names none, or whatever is there without a lease.

    Attempts that came to nothing are none: whoever died during the first copy left the lease held; and what is not
    younger than the marker here, this machine knows of.
    """
    listed = list(entries)
    paths = list(history.spans(listed, key))
    if lease is None:
        others = {history.path_of(each, key) for each in listed} - {*paths, "lease.json"}
        return [*sorted(others), *paths]
    if lease.history:
        return [*dict.fromkeys([*(each.path for each in lease.history), *paths])]
    known = lease.epoch if lease.held else min(marker.epoch, lease.epoch) if marker else 0
    return [each for each in paths if history.epoch_of(each) > known]


async def reinstate(vault: Vault, plan: TenantPlan, path: str) -> Lease:
    """Make a path the truth of a tenant whose lease is lost, damaged or speaks of no copy: the lease, held by nobody.

    Raises `Unavailable` when there is a lease that says what is the truth, or no such path.
    """
    assert plan.backup
    found = await vault.store.get(plan.backup.lease)
    try:
        lease = Lease.from_json(found.body, plan.backup.lease, plan.id) if found else None
    except StoreError:
        lease = None
    if lease and (lease.path or lease.held):
        said = f"{lease.holder} has it" if lease.held else f"it says that {lease.path} is the truth"
        raise Unavailable(f"{plan.id} has a lease: {said}")
    fresh = _lease(vault, plan, path, await vault.store.entries(plan.backup.key), lease)
    try:
        if found:
            await vault.store.replace(plan.backup.lease, fresh.to_json().encode(), found.tag)
        else:
            await vault.store.create(plan.backup.lease, fresh.to_json().encode())
    except Conflict:
        raise Unavailable(f"somebody else changed {plan.id} just now", hint="try again") from None
    return fresh


def _lease(vault: Vault, plan: TenantPlan, path: str, entries: list[Entry], old: Lease | None) -> Lease:
    """All paths that are there become the past, in their order; the chosen one is the truth since the last of them."""
    assert plan.backup
    spans = history.spans(entries, plan.backup.key)
    if path not in spans:
        raise Unavailable(f"the store has no {path} of {plan.id}; it has {', '.join(spans) or 'no databases'}")
    chapters = [Chapter(each, begun, ended) for each, (begun, ended) in spans.items()]
    if chapters[-1].path != path:
        last = max(each.begun for each in chapters)
        chapters.append(Chapter(path, last + 1, last + 1))
    epoch = max([history.epoch_of(each) for each in spans] + ([old.epoch] if old else []))
    states = files.versions(entries, prefix_of(plan))
    known = [each for each in states if each.epoch <= history.epoch_of(path)]
    made = Lease(plan.id, epoch, "nobody", socket.gethostname(), held=False, ttl=vault.plan.lease, path=path)
    return replace(made, history=tuple(chapters), files=str(known[-1]) if known else "", nonce=secrets.token_hex(16))
