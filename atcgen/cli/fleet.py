"""`atc fleet`: the machines that share one atc.yml."""

from __future__ import annotations

import click

from atcgen.cli.fleet_cost import cost
from atcgen.cli.fleet_plan import apply, plan
from atcgen.cli.fleet_status import status


@click.group("fleet")
def command() -> None:
    """The machines that share one atc.yml: what there should be, what there is, what it costs."""


for each in (status, plan, apply, cost):
    command.add_command(each)
