"""`atc schema`: for editors."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of atc.yml."""
    from atcgen.compiler.schema import Config

    schema = Config.model_json_schema()
    schema["patternProperties"] = {"^x-": {}}
    click.echo(json.dumps(schema, indent=2))
