"""`atc build`: write the configuration."""

from __future__ import annotations

from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file, read_text
from atcgen.compiler import Compiled
from atcgen.compiler.source import parse
from atcgen.compiler.targets import target_of
from atcgen.system.generations import write_files


@click.command("build")
@file_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("build"), help="The directory to write to."
)
def command(file: Path | None, region: str | None, instance: str | None, state: Path | None, output: Path) -> None:
    """Compile atc.yml and write nginx/, supervisor/ and launch/ to a directory, and what `fleet.target` needs."""
    found = find_file(file)
    compiled = compile_file(found, state, region, instance)
    output.mkdir(parents=True, exist_ok=True)
    write_files(output, compiled.files)
    _write_for_target(output, found, compiled)
    for warning in compiled.warnings:
        click.echo(str(warning), err=True)
    click.echo(f"{output}: {len(compiled.files)} files for {len(compiled.plan.tenants)} tenants")


def _write_for_target(output: Path, file: Path, compiled: Compiled) -> None:
    """fly.toml and the like. What stands beside atc.yml is the owner's, and stays."""
    document, _ = parse(read_text(file), str(file))
    for name, text in target_of(compiled.config).files(compiled.config, document, compiled.host).items():
        place = output / name
        if output.resolve() == file.resolve().parent and place.exists():
            click.echo(f"{place}: stays as it is; `atc check` says where it does not agree", err=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
