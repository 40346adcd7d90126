"""`atc fleet plan` and `atc fleet apply`: from the machines that exist to those that atc.yml wants."""

from __future__ import annotations

import json

import click

from atcgen.cli.provision import Terms, apply_options, carry_out, draft_options, hands, show
from atcgen.cli.source import json_option
from atcgen.provision.draft import Draft
from atcgen.provision.planner import difference


@click.command("plan")
@draft_options
@json_option
def plan(draft: Draft, as_json: bool) -> None:
    """Compare atc.yml with the machines that exist; say what `apply` would do, and do nothing."""
    existing = hands(draft, Terms()).look()
    steps = difference(draft.wanted(), existing)
    if as_json:
        click.echo(json.dumps([{"step": type(each).__name__, "says": str(each)} for each in steps], indent=1))
        return
    show(steps, draft, existing)
    if not steps:
        click.echo("everything is as atc.yml says")


@click.command("apply")
@draft_options
@apply_options
def apply(draft: Draft, terms: Terms) -> None:
    """Make, change, move and destroy machines until they are what atc.yml says; may be repeated at any time."""
    carry_out(draft, terms)
