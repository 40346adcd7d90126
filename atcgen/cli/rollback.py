"""`atc rollback`: run what was run before."""

from __future__ import annotations

from pathlib import Path

import click

from atcgen.cli.editions import announce, asked, desk, refuse_errors, who
from atcgen.cli.source import running_options
from atcgen.fleet.history import written
from atcgen.fleet.local import take


@click.command("rollback")
@click.argument("number", type=click.IntRange(min=1))
@click.option("-m", "--message", default="", help="Why, for `atc history`.")
@running_options
def command(number: int, message: str, file: Path | None, state: Path | None) -> None:
    """Make the text of edition NUMBER the next edition; an atc.yml here that was not edited follows."""
    place = desk(file, state)
    old = asked(place.history.read(number))
    refuse_errors(place, old.text, f"edition {number}")
    newest = asked(place.history.newest())
    if newest.edition and newest.edition.text == old.text:
        click.echo(f"edition {newest.edition.number} says the same already")
        return
    said = f"as edition {number}" + (f": {message}" if message else "")
    edition = asked(place.history.add(written(old.text, who(), said), newest))
    if place.base and place.text == place.base.text:
        take(place.file, edition, place.state)
    else:
        click.echo(f"{place.file} was edited, and stays as it is", err=True)
    announce(place, edition)
