"""`atc history`: what was pushed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from atcgen.cli.editions import asked, desk
from atcgen.cli.source import json_option, running_options
from atcgen.fleet.editions import Edition


@click.command("history")
@click.option("-n", "--count", default=20, show_default=True, type=click.IntRange(min=1), help="How many of the last.")
@running_options
@json_option
def command(count: int, file: Path | None, state: Path | None, as_json: bool) -> None:
    """Show the editions of atc.yml: number, time, who and why; `*` is the one the file here was made from."""
    place = desk(file, state)
    found = asked(place.history.last(count))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for each in found:
        mark = "*" if place.base and each.number == place.base.number else " "
        said = (
            f"{each.at}  {each.who}  {each.message}" if isinstance(each, Edition) else f"not to be trusted: {each.why}"
        )
        click.echo(f"{mark}{each.number:6}  {said}".rstrip())
