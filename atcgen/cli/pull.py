"""`atc pull`: get what all machines run."""

from __future__ import annotations

from pathlib import Path

import click

from atcgen.cli.editions import Desk, Diverged, asked, desk, diverged
from atcgen.cli.source import running_options
from atcgen.errors import Unavailable
from atcgen.fleet.editions import Edition
from atcgen.fleet.history import Newest
from atcgen.fleet.local import replace_text, take, write_base
from atcgen.fleet.merge import Clash, merged


@click.command("pull")
@click.option("--merge", is_flag=True, help="Put their changes and yours together.")
@click.option("--force", is_flag=True, help="Take theirs; yours is kept in the state directory.")
@running_options
def command(merge: bool, force: bool, file: Path | None, state: Path | None) -> None:
    """Make atc.yml the newest edition; one that was edited stays as it is, unless you say what becomes of it."""
    place = desk(file, state)
    found = asked(place.history.newest())
    newest = found.edition
    if newest is None:
        raise _nothing(found)
    is_edited = place.text != newest.text and (place.base is None or place.text != place.base.text)
    if is_edited and merge and place.base and not force:
        _merge(place, place.base, newest)
        return
    if is_edited and not force:
        raise diverged(place, newest)
    aside = take(place.file, newest, place.state)
    click.echo(f"{place.file}: edition {newest.number}" + (f"; what it said is in {aside}" if aside else ""))


def _nothing(found: Newest) -> Unavailable:
    """Nobody pushed, or somebody with another secret."""
    if not found.refused:
        return Unavailable("nothing was pushed yet", hint="atc push")
    last = found.refused[0]
    said = f"no edition in the store is to be trusted; of {last.number}, the newest: {last.why}"
    return Unavailable(said, hint="is fleet.secret the one with which it was pushed?")


def _merge(place: Desk, base: Edition, newest: Edition) -> None:
    try:
        text = merged(base.text, place.text, newest.text)
    except Clash as clash:
        raise Diverged(f"{clash}\n{diverged(place, newest)}", hint="edit atc.yml, or atc pull --force") from None
    replace_text(place.file.resolve(), text)
    write_base(place.state, newest)
    click.echo(f"{place.file}: your changes to edition {base.number} are changes to edition {newest.number} now")
