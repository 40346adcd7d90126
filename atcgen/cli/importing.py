"""`atc import`: tenants that another program knows."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from atcgen.cli.source import read_text
from atcgen.errors import Unavailable
from atcgen.init.navigator import import_navigator, is_navigator
from atcgen.init.showcases import import_showcases, is_showcases


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The atc.yml to write; printed when missing.")
def command(source: Path, output: Path | None) -> None:
    """Write an atc.yml with the tenants of a navigator.yml, or of a showcases.yml with years, cities and events.

    What has no meaning in atc.yml is said with its place, on the standard error output.
    """
    text = read_text(source)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError:
        data = {}  # the import says what is wrong with it
    if is_showcases(data):
        imported = import_showcases(text, str(source))
    elif is_navigator(data) or not data:
        imported = import_navigator(text, str(source))
    else:
        raise Unavailable(f"{source} is neither a navigator.yml nor a showcases.yml")
    for each in imported.lost:
        click.echo(str(each), err=True)
    if output is None:
        click.echo(imported.text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as fresh:
            fresh.write(imported.text)
    except OSError as problem:
        raise Unavailable(f"{output}: {problem.strerror}", hint="nothing was written") from None
    click.echo(f"{output}: next is atc check -c {output}")
