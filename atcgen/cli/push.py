"""`atc push`: make atc.yml what all machines run."""

from __future__ import annotations

from pathlib import Path

import click

from atcgen.cli.editions import Desk, announce, asked, desk, diverged, refuse_errors, who
from atcgen.cli.source import running_options
from atcgen.fleet.editions import Edition
from atcgen.fleet.history import written
from atcgen.fleet.local import write_base
from atcgen.system.store import Conflict


@click.command("push")
@click.option("-m", "--message", default="", help="What changed, for `atc history`.")
@running_options
def command(message: str, file: Path | None, state: Path | None) -> None:
    """Make atc.yml the next edition, which all machines run; exit 1 when somebody else pushed meanwhile."""
    same = push(file, state, message)
    if same:
        click.echo(f"edition {same.number} says the same already")


def push(file: Path | None, state: Path | None, message: str) -> Edition | None:
    """Make it the next edition, and tell machines; the newest one if that says the same already."""
    place = desk(file, state)
    refuse_errors(place, place.text, str(place.file))
    newest = asked(place.history.newest())
    if newest.edition and newest.edition.text == place.text:
        write_base(place.state, newest.edition)
        return newest.edition
    _refuse_the_old(place, newest.edition)
    try:
        edition = asked(place.history.add(written(place.text, who(), message), newest))
    except Conflict:
        quicker = asked(place.history.newest()).edition
        if quicker is None:
            raise
        raise diverged(place, quicker) from None
    write_base(place.state, edition)
    announce(place, edition)
    return None


def _refuse_the_old(place: Desk, newest: Edition | None) -> None:
    """Nobody overwrites what he has not seen."""
    if newest and (place.base is None or place.base.number != newest.number):
        raise diverged(place, newest)
