"""What `atc status TENANT` prints of one tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from atcgen.cli.times import ago
from atcgen.replica.progress import amount

_COLUMNS = ("database", "size", "in the store", "transaction", "copied to", "behind")


def print_detail(said: dict[str, Any]) -> None:
    """Its state, and a row for each of its databases."""
    for line in _lines(said):
        click.echo(line)
    rows = [_COLUMNS, *(_row(each, said["stored"]) for each in said["databases"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows[: len(rows) if len(rows) > 1 else 0]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
    for each in said["databases"]:
        if each["error"]:
            click.echo(f"{each['name']}: {each['error']}", err=True)


def _lines(said: dict[str, Any]) -> Iterator[str]:
    yield f"{said['id']}: {said['state']}" + (f", process {said['pid']}" if said["pid"] else "")
    if said["reason"]:
        yield said["reason"]
    yield f"last request: {ago(said['last_access'])}"
    if said["copies"]:
        yield f"copies: {said['copies']}" + (f", in {said['replica_path']}" if said["replica_path"] else "")


def _row(each: dict[str, Any], stored: dict[str, int]) -> tuple[str, ...]:
    name = each["name"]
    return (
        name,
        amount(each["size"]),
        amount(stored[name]) if name in stored else "-",
        str(each["txid"] or "-"),
        str(each["stored_txid"] or "-"),
        "-" if each["lag"] is None else f"{each['lag']:.1f} s",
    )
