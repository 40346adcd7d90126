"""`atc check`: is the file right?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from atcgen.cli.source import compile_file, file_options, find_file, json_option
from atcgen.compiler import Compiled
from atcgen.errors import Rejected


@click.command("check")
@file_options
@json_option
@click.option("--prefix", is_flag=True, help="Show also what in the application will not survive a prefix.")
def command(
    file: Path | None, region: str | None, instance: str | None, state: Path | None, as_json: bool, prefix: bool
) -> None:
    """Say everything that is wrong with atc.yml; exit 1 when it has errors."""
    found = find_file(file)
    try:
        compiled = compile_file(found, state, region, instance)
    except Rejected as rejected:
        if not as_json:
            raise
        click.echo(json.dumps([each.to_json() for each in rejected.diagnostics]))
        sys.exit(rejected.exit_code)
    if as_json:
        click.echo(json.dumps([each.to_json() for each in compiled.warnings]))
        return
    for warning in compiled.warnings:
        click.echo(str(warning), err=True)
    plan = compiled.plan
    click.echo(f"{found}: {len(plan.tenants)} tenants here, {len(plan.remotes)} on other machines")
    if prefix:
        _say_what_is_lost(compiled)


def _say_what_is_lost(compiled: Compiled) -> None:
    """Of each directory that tenants run in, by its platform."""
    from atcgen.init.prefix import findings, sentences
    from atcgen.platforms import PLATFORMS
    from atcgen.system.application import ApplicationTree

    app = compiled.config.app
    said = app.prefix if "prefix" in app.model_fields_set else PLATFORMS[app.platform].app.get("prefix")
    for root in sorted({each.root for each in compiled.plan.tenants}):
        lost = findings(ApplicationTree(Path(root)), app.platform, strips=said == "strip")
        click.echo(f"{root}: {len(lost)} places will not survive a prefix")
        for line in sentences(lost):
            click.echo(f"  {line}")
