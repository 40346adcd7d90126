"""`atc user`: customers come and move, with their machines."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from atcgen.cli.provision import Terms, apply_options, carry_out, draft_options
from atcgen.errors import AtcError
from atcgen.provision.draft import Draft
from atcgen.provision.edit import add_user, empty, set_keys
from atcgen.provision.prices import REGIONS


@click.group("user")
def command() -> None:
    """Add a user with a machine of their own, or move one to another region."""


@command.command("add")
@click.argument("name")
@click.option("--region", required=True, help="Where their machine is.")
@click.option("--label", help="What people call them.")
@click.option("--size", help="The size of the machine, such as shared-cpu-2x.")
@click.option("--edit-only", is_flag=True, help="Edit atc.yml, and make no machine yet.")
@draft_options
@apply_options
def add(
    draft: Draft, terms: Terms, name: str, region: str, label: str | None, size: str | None, edit_only: bool
) -> None:
    """Add the user NAME: make a machine, and write both into atc.yml."""
    if name in draft.compile().config.users:
        raise AtcError(f"there is a user {name} already", hint=f"atc user move {name} --to {region}")
    values: dict[str, Any] = {"name": label} if label else {}
    values |= {"region": region, "machine": size or empty()}
    _doubt(draft, region)
    draft.edits.append(partial(add_user, user=name, values=values))
    _finish(draft, terms, edit_only)


@command.command("move")
@click.argument("name")
@click.option("--to", "region", required=True, help="The region they move to.")
@click.option("--edit-only", is_flag=True, help="Edit atc.yml, and leave the machines as they are.")
@draft_options
@apply_options
def move(draft: Draft, terms: Terms, name: str, region: str, edit_only: bool) -> None:
    """Move the user NAME: a machine there, atc.yml, the data by way of the store, and the old machine goes.

    It can be interrupted anywhere; the same command again goes on.
    """
    user = draft.compile().config.users.get(name)
    if user is None:
        raise AtcError(f"there is no user {name} in {draft.file}", hint="atc user add")
    if user.instance and "machine" not in user.model_fields_set:
        raise AtcError(f"{name} was put on machine {user.instance} by hand", hint="give the user `machine:` at first")
    if not draft.compile().plan.store.url and not terms.discards:
        raise AtcError(
            f"nothing of {name} is copied, and so nothing can move", hint="storage.replica says where to copy it"
        )
    if user.region != region:
        _doubt(draft, region)
        draft.edits.append(partial(set_keys, path=("users", name), values={"region": region}))
    _finish(draft, terms, edit_only)


def _doubt(draft: Draft, region: str) -> None:
    """Fly.io does not say that a region is the problem. It may have new ones, so this stops nobody."""
    if draft.compile().config.fleet.target == "fly" and region not in REGIONS:
        known = ", ".join(sorted(REGIONS))
        click.echo(f"warning: '{region}' is no region of Fly.io that atc knows; those are {known}", err=True)


def _finish(draft: Draft, terms: Terms, edit_only: bool) -> None:
    draft.compile()
    if edit_only:
        draft.save()
        click.echo(f"{draft.file}: written; `atc fleet apply` does the rest")
        return
    carry_out(draft, terms)
