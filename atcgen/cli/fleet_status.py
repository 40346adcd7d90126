"""`atc fleet status`: which edition each machine runs, and which one it should."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from atcgen.cli.editions import Desk, asked, desk
from atcgen.cli.source import json_option, running_options
from atcgen.cli.times import ago
from atcgen.fleet.history import Newest
from atcgen.fleet.reports import Report, read_all

_TITLES = ("machine", "region", "wanted", "runs", "for", "state", "said", "")


@click.command("status")
@running_options
@json_option
def status(file: Path | None, state: Path | None, as_json: bool) -> None:
    """Show the edition that each machine runs beside the one that is wanted."""
    newest, reports = asked(_look(desk(file, state)))
    wanted, now = newest.edition.number if newest.edition else 0, time.time()
    if as_json:
        machines = [{**asdict(each), "silent": each.is_silent(now)} for each in reports]
        click.echo(json.dumps({"wanted": wanted, "machines": machines}, indent=2))
        return
    rows = [_TITLES, *(tuple(_row(each, wanted, now)) for each in reports)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for each in newest.refused or ():
        click.echo(f"edition {each.number} is not to be trusted: {each.why}", err=True)


async def _look(place: Desk) -> tuple[Newest, list[Report]]:
    return await place.history.newest(), await read_all(place.history.store, place.shared.secret)


def _row(report: Report, wanted: int, now: float) -> Iterator[str]:
    yield report.machine
    yield report.region or "-"
    yield str(wanted or "-")
    yield f"{report.runs or '-'}{', edited here' if report.edited else ''}"
    yield ago(report.since).removesuffix(" ago")
    yield _state(report, now)
    yield ago(report.at)
    yield f"{report.refused} refused: {report.why.splitlines()[0]}" if report.refused and report.why else ""


def _state(report: Report, now: float) -> str:
    if not report.awake:
        return "asleep"
    if not report.is_silent(now):
        return "awake"
    return f"silent since {time.strftime('%Y-%m-%d %H:%M', time.localtime(report.at))}"
