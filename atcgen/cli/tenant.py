"""`atc tenant`: tenants come, and what becomes of the copies of those that left atc.yml."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

import click

from atcgen.cli.provision import draft_options
from atcgen.cli.source import home_of, running_options
from atcgen.compiler.names import program_name
from atcgen.compiler.plan import Plan, load
from atcgen.errors import AtcError, Unavailable
from atcgen.provision.draft import Draft
from atcgen.provision.edit import add_tenant
from atcgen.replica import deletion
from atcgen.replica.site import Vault, vault


@click.group("tenant")
def command() -> None:
    """Add a tenant; delete the copies of one that left atc.yml, or take that back."""


@command.command("add")
@click.argument("tenant")
@click.option("--name", help="What people call it.")
@draft_options
def add(draft: Draft, tenant: str, name: str | None) -> None:
    """Add the tenant USER/PATH to atc.yml; its first request starts it."""
    user, _, path = tenant.strip("/").partition("/")
    if user not in draft.compile().config.users:
        raise AtcError(f"there is no user {user} in {draft.file}", hint=f"atc user add {user} --region REGION")
    draft.edits.append(partial(add_tenant, user=user, path=path, values={"name": name} if name else {}))
    draft.save()
    click.echo(f"{user}/{path}".rstrip("/") + f": in {draft.file}")


@command.command("delete")
@click.argument("tenant")
@running_options
def delete(tenant: str, file: Path | None, state: Path | None) -> None:
    """Mark the copies of a TENANT as deleted; after `storage.grace` they are."""
    plan, store, name = _asked(tenant, file, state)
    if any(each.id == name for each in plan.tenants):
        raise AtcError(f"{name} is in atc.yml", hint="take it out first")
    asyncio.run(deletion.delete(store, program_name(name.strip("/")), name))
    click.echo(f"{name}: deleted in {store.plan.grace / 86_400:g} days; until then: atc tenant restore {name}")


@command.command("restore")
@click.argument("tenant")
@running_options
def restore(tenant: str, file: Path | None, state: Path | None) -> None:
    """Keep the copies of a TENANT after all; put it back into atc.yml, and its next request restores it."""
    _, store, name = _asked(tenant, file, state)
    asyncio.run(deletion.undelete(store, program_name(name.strip("/")), name))
    click.echo(f"{name}: kept")


def _asked(tenant: str, file: Path | None, state: Path | None) -> tuple[Plan, Vault, str]:
    home = home_of(file, state)
    try:
        plan = load((home / "current/plan.json").read_text(encoding="utf-8"))
    except OSError:
        raise Unavailable(f"no atc ran with the state directory {home}", hint="start it with: atc run") from None
    if not plan.store.url:
        raise Unavailable("nothing is copied", hint="storage.replica says where to")
    return plan, vault(plan.store, os.environ), tenant.strip("/") or "/"
