"""`atc diff`: what an edit would change."""

from __future__ import annotations

import json
from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file, json_option


@click.command("diff")
@file_options
@json_option
@click.option("--files", is_flag=True, help="Show the generated files line by line.")
def command(
    file: Path | None, region: str | None, instance: str | None, state: Path | None, as_json: bool, files: bool
) -> None:
    """Say what atc.yml would change in what runs: tenants that come, go or restart, and whether nginx reloads."""
    from atcgen.compiler.changes import changes, unified
    from atcgen.system.generations import active, read_files

    compiled = compile_file(find_file(file), state, region, instance, as_running=True)
    running = active(Path(compiled.plan.paths.state))
    before = read_files(running) if running else {}
    found = changes(before, compiled.files)
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=2))
        return
    if not running:
        click.echo(f"nothing ran with the state directory {compiled.plan.paths.state}: everything is new", err=True)
    for sign, colour, names in (
        ("+", "green", found.added),
        ("-", "red", found.removed),
        ("~", "yellow", found.restarted),
    ):
        for name in names:
            click.secho(f"{sign} {name}{' (restarts if it is awake)' if sign == '~' else ''}", fg=colour)
    click.echo("nginx reloads" if found.nginx_reloads else "nginx is not touched")
    if files:
        click.echo(unified(before, compiled.files))
