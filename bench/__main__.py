"""`python -m bench [NAME…] [--json]`: measure, print one table, exit 1 when a bar was missed."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from rich.console import Console
from rich.table import Table

from bench.figures import Figure

NAMES = (
    "hot_path",
    "cold_start",
    "preload",
    "restart",
    "memory",
    "compile",
    "warm_under_boots",
    "edits",
    "replica",
    "routed",
    "private",
)
WHEN_ASKED = ("loss", "fleet", "hosts", "platforms")  # take long


class Benchmark(Protocol):
    """A module that measures."""

    def run(self) -> Iterable[Figure]:
        """Measure."""


def main() -> int:
    """Run what was asked for; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure atc.")
    said = f"which: {', '.join(NAMES)}; all of these when none is given. Also, when asked for: {', '.join(WHEN_ASKED)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=said)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    unknown = [each for each in arguments.names if each not in NAMES + WHEN_ASKED]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    figures = list(_measured(arguments.names or NAMES))
    if arguments.json:
        print(json.dumps([each.to_json() for each in figures], indent=2))
    else:
        Console().print(_table(figures))
        print("".join(f"\n{each}\n" for each in _more(arguments.names)), end="")
    return 1 if any(each.missed for each in figures) else 0


def _measured(names: Iterable[str]) -> Iterator[Figure]:
    for name in names:
        began = time.monotonic()
        yield from cast(Benchmark, importlib.import_module(f"bench.{name}")).run()
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def _more(names: Iterable[str]) -> Iterator[str]:
    """What some benchmarks have to say beside their figures, for README.md."""
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        if hasattr(module, "table"):
            yield module.table()


def _table(figures: Iterable[Figure]) -> Table:
    table = Table("benchmark", "figure", "value", "unit", "bar", "note", title="atc")
    for each in figures:
        bar = "" if each.bar is None else f"≤ {each.bar:g}"
        value = f"{each.value:,.0f}" if abs(each.value) >= 1000 else f"{each.value:.4g}"
        style = "red" if each.missed else "green" if each.bar is not None else None
        table.add_row(
            each.bench, each.what, value, each.unit, f"{bar} {'MISSED' if each.missed else ''}", each.note, style=style
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
