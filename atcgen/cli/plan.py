"""`atc plan`: what will be."""

from __future__ import annotations

from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file


@click.command("plan")
@file_options
def command(file: Path | None, region: str | None, instance: str | None, state: Path | None) -> None:
    """Print the complete plan of this machine as JSON."""
    click.echo(compile_file(find_file(file), state, region, instance).plan.to_json())
