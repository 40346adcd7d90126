"""`atc explain`: why a URL is answered as it is."""

from __future__ import annotations

import json
from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file, json_option


@click.command("explain")
@click.argument("url")
@click.option("--method", default="GET", show_default=True, help="The method, for rules of fleet.elsewhere.")
@file_options
@json_option
def command(
    url: str,
    method: str,
    file: Path | None,
    region: str | None,
    instance: str | None,
    state: Path | None,
    as_json: bool,
) -> None:
    """Say which rule answers a URL or a path, for which tenant, on which machine, and why."""
    from atcgen.compiler.explain import explain

    said = explain(compile_file(find_file(file), state, region, instance, as_running=True).plan, url, method.upper())
    if as_json:
        click.echo(json.dumps(said.to_json(), indent=2))
        return
    for title, value in said.to_json().items():
        if value:
            click.echo(f"{title:7} {value}")
