"""The directories of the state directory and of tenants, with the owners and modes they need."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from pathlib import Path

from atcgen.compiler.paths import is_made
from atcgen.compiler.plan import Plan, PreloadPlan, TenantPlan


def make_state_directories(plan: Plan) -> None:
    """Everything that nginx, supervisord and the agent expect to be there."""
    paths = plan.paths
    for each in (
        paths.run,
        paths.nginx_locks,
        f"{paths.logs}/access",
        f"{paths.logs}/tenants",
        f"{paths.logs}/builds",
        paths.tmp,
        paths.cache,
    ):
        Path(each).mkdir(parents=True, exist_ok=True)
    make_store_directories((*plan.store.directories, *plan.shared.directories), plan.base, paths.state)
    if not Path(paths.events).is_fifo():
        os.mkfifo(paths.events, 0o600)


def make_store_directories(directories: Iterable[str], base: str, state: str) -> None:
    """The directories that stand in for an object store, where they lie beside atc.yml or in the state directory."""
    for each in directories:
        if is_made(each, base, state):
            Path(each).mkdir(parents=True, exist_ok=True)


def make_zygote_directory(plan: PreloadPlan) -> None:
    """Where a zygote listens, and keeps what it has learned: for its user alone."""
    directory = Path(plan.directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0 and plan.unix_user:
        user = pwd.getpwnam(plan.unix_user)
        os.chown(directory, user.pw_uid, user.pw_gid)


def make_tenant_directories(plan: TenantPlan, worker_user: str) -> None:
    """The directories of a tenant: its data belongs to the user it runs as, and only nginx may reach its sockets."""
    data, sockets = Path(plan.directory), Path(plan.socket_directory)
    for each in (data, sockets):
        each.mkdir(parents=True, exist_ok=True)
    sockets.chmod(0o750)
    if os.geteuid() == 0:
        uid = pwd.getpwnam(plan.unix_user).pw_uid if plan.unix_user else -1
        worker = pwd.getpwnam(worker_user).pw_gid if worker_user else -1
        os.chown(sockets, uid, worker)
        if plan.unix_user:
            os.chown(data, uid, pwd.getpwnam(plan.unix_user).pw_gid)
