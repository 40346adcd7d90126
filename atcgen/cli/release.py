"""`atc release`: move tenants to another directory of the application, one by one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from atcgen.cli.control import about_release
from atcgen.cli.source import compile_file, find_file, home_of, read_text, running_options
from atcgen.errors import Unavailable
from atcgen.provision.edit import set_keys
from atcgen.system.agent import ask
from atcgen.system.edits import publish

_PAUSE = 0.2


@click.command("release")
@click.argument("directory", type=click.Path(path_type=Path))
@running_options
def command(directory: Path, file: Path | None, state: Path | None) -> None:
    """Make DIRECTORY `app.root` of atc.yml, and wait until every tenant runs from it.

    They move one by one, migrations first, without a lost request. The first that does not start there goes back, and
    the rest stay where they are. The same command again goes on; with the old directory it goes back.
    """
    if not directory.is_dir():
        raise click.BadParameter(f"{directory} is no directory")
    found, home = find_file(file), home_of(file, state)
    text = read_text(found)
    edited = set_keys(text, ("app",), {"root": _spelt(directory, found)})
    compile_file(found, state, None, None, as_running=True, text=edited)
    if edited != text:
        publish(found, edited)
    code, said = ask(home, "POST", "/release")
    if code != 200:
        raise Unavailable(said["error"])
    _follow(home)


def _spelt(directory: Path, file: Path) -> str:
    """As atc.yml would have it: below the file's directory relative to it, else absolute."""
    there, base = directory.resolve(), file.absolute().parent.resolve()
    return os.path.relpath(there, base) if there.is_relative_to(base) else str(there)


def _follow(home: Path) -> None:
    """Say who has moved until nobody is left."""
    waiting: set[str] | None = None
    while True:
        release = ask(home, "GET", "/status")[1]["release"]
        held = set(release["held"])
        for name in sorted((waiting or set()) - held):
            click.echo(f"{name}: moved")
        waiting = held
        if not release["rolling"] and not held:
            click.echo("every tenant runs the new release")
            return
        if not release["rolling"]:
            raise Unavailable(about_release(release), hint="mend it and say the same again, or name the old directory")
        time.sleep(_PAUSE)
