"""`atc fleet cost`: what each user costs in a month."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich import box
from rich.console import Console
from rich.table import Table

from atcgen.cli.provision import draft_options
from atcgen.cli.source import json_option
from atcgen.provision import prices
from atcgen.provision.cost import DAYS, HOURS_PER_DAY, IMAGE_GB, TRAFFIC_GB, Cost, Habits, costs
from atcgen.provision.draft import Draft


@click.command("cost")
@draft_options
@click.option(
    "--hours-per-day",
    type=click.FloatRange(0, 24),
    default=HOURS_PER_DAY,
    show_default=True,
    help="How long a machine runs.",
)
@click.option(
    "--traffic-gb",
    type=click.FloatRange(min=0),
    default=TRAFFIC_GB,
    show_default=True,
    help="What goes out in a month, of each machine.",
)
@json_option
def cost(draft: Draft, hours_per_day: float, traffic_gb: float, as_json: bool) -> None:
    """Estimate what each user's machine costs in a month; asks nobody."""
    found = costs(draft.wanted().machines, Habits(hours_per_day, traffic_gb))
    if as_json:
        rows = [asdict(each) | {"total": each.total} for each in found]
        said = {"prices_of": prices.DATE, "source": prices.SOURCE, "hours_per_day": hours_per_day, "users": rows}
        click.echo(json.dumps(said | {"total": sum(each.total for each in found)}, indent=1))
        return
    Console(width=110).print(_table(found))
    click.echo(
        f"US dollars for {DAYS} days, at the prices of {prices.DATE} ({prices.SOURCE}).\n"
        f"Assumed: {hours_per_day:g} hours a day, {traffic_gb:g} GB out, an image of {IMAGE_GB:g} GB. "
        "Not counted: the store, addresses, certificates."
    )


def _table(found: tuple[Cost, ...]) -> Table:
    table = Table(box=box.SIMPLE, show_footer=True)
    table.add_column("user", "total")
    for name in ("region", "machine"):
        table.add_column(name, no_wrap=True)
    for name in ("tenants", "hours", "machine $", "storage $", "traffic $"):
        table.add_column(name, justify="right")
    table.add_column("month $", f"{sum(each.total for each in found):.2f}", justify="right")
    for each in found:
        figures = (f"{value:.2f}" for value in (each.compute, each.storage, each.traffic, each.total))
        user = each.user or f"(all in {each.region})"
        table.add_row(user, each.region, each.machine, str(each.tenants), f"{each.hours:g}", *figures)
    return table
