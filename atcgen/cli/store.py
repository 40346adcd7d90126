"""`atc store`: what the agent runs when atc.yml was edited: compile, and write the generation beside the others."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file, read_text
from atcgen.system.generations import remember_source, store


@click.command("store", hidden=True)
@file_options
@click.option("--called", default="", help="What messages call the file.")
@click.option("--given", is_flag=True, help="Take the text from standard input instead of the file.")
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(
    file: Path | None,
    region: str | None,
    instance: str | None,
    state: Path | None,
    called: str,
    given: bool,
    words: tuple[str, ...],
) -> None:
    """Compile atc.yml and store the generation; print its name. It is not active yet."""
    found = find_file(file)
    text = sys.stdin.buffer.read().decode(errors="surrogateescape") if given else read_text(found)
    compiled = compile_file(found, state, region, instance, words, called, serving=True, text=text)
    home = Path(compiled.plan.paths.state)
    generation = store(home, compiled.files, compiled.plan.owners())
    remember_source(home, generation, text)
    click.echo(generation.digest)
