"""`atc build`: write the configuration."""

from __future__ import annotations

from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file
from atcgen.system.generations import write_files


@click.command("build")
@file_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("build"), help="The directory to write to."
)
def command(file: Path | None, region: str | None, instance: str | None, state: Path | None, output: Path) -> None:
    """Compile atc.yml and write nginx/, supervisor/ and launch/ to a directory."""
    compiled = compile_file(find_file(file), state, region, instance)
    output.mkdir(parents=True, exist_ok=True)
    write_files(output, compiled.files)
    for warning in compiled.warnings:
        click.echo(str(warning), err=True)
    click.echo(f"{output}: {len(compiled.files)} files for {len(compiled.plan.tenants)} tenants")
