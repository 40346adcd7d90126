"""What custodians of one machine share: the store (the vault), supervisord, and who the machine is."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atcgen.compiler.plan import StorePlan
from atcgen.system.litestream import Replica
from atcgen.system.store import Store, open_store
from atcgen.system.supervisor import Supervisor

_RESTORES = 3  # at once: each takes 40 MB or more


@dataclass(frozen=True)
class Vault:
    """The store, for who only reads it."""

    plan: StorePlan
    store: Store
    environ: Mapping[str, str]
    restores: asyncio.Semaphore

    def replica(self, key: str, path: str, database: str) -> Replica:
        """Where one database is below a path of its tenant."""
        return Replica(f"{self.plan.url}/{key}/{path}/{database}", self.plan.endpoint, self.plan.region)


@dataclass(frozen=True)
class Site(Vault):
    """Made once by the agent."""

    supervisor: Supervisor
    owner: str  # nobody else may call themselves this while we live
    holder: str  # the machine, for people
    boot: str  # names this boot of the machine
    start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]]  # in the background


def vault(plan: StorePlan, environ: Mapping[str, str]) -> Vault:
    """The store of a plan; raises `Unavailable` when it cannot be one."""
    store = open_store(plan.url, endpoint=plan.endpoint, region=plan.region, credentials=environ)
    return Vault(plan, store, environ, asyncio.Semaphore(_RESTORES))


def site(
    plan: StorePlan,
    state: Path,
    supervisor: Supervisor,
    environ: Mapping[str, str],
    start: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
    instance: str | None = None,
) -> Site:
    """The machine as it is, called by its instance if it has one; raises `Unavailable` when its store cannot be one."""
    boot = _read("/proc/sys/kernel/random/boot_id")
    machine = environ.get("FLY_MACHINE_ID", "")
    owner, holder = _owner(machine, state, boot), instance or machine or socket.gethostname()
    read = vault(plan, environ)
    return Site(read.plan, read.store, read.environ, read.restores, supervisor, owner, holder, boot, start)


def _owner(machine: str, state: Path, boot: str) -> str:
    """Who has a lease may take it back at once, so a copy of a machine must not be the same owner.

    Fly.io's machines have names that are never given twice, and volumes only one machine can mount. Elsewhere a copied
    disk is told from its original by the running kernel and by where the state directory is in it: after a restart of
    the machine its old leases have to run out.
    """
    if machine:
        return hashlib.sha256(f"{machine} {state}".encode()).hexdigest()
    found = os.stat(state)
    words = (_read("/etc/machine-id"), socket.gethostname(), boot, found.st_dev, found.st_ino, state)
    return hashlib.sha256(repr(words).encode()).hexdigest()


def _read(file: str) -> str:
    with suppress(OSError):
        return Path(file).read_text(encoding="ascii").strip()
    return ""
