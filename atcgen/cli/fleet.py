"""`atc fleet`: about all machines that share one atc.yml."""

from __future__ import annotations

import click

from atcgen.cli.fleet_status import status


@click.group("fleet")
def command() -> None:
    """Look at all machines that share atc.yml."""


command.add_command(status)
