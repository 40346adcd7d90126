"""What is lost when things end: two machines share a store, rows are written, something happens at a random moment, and
the other machine says what it has.

It takes about six seconds per run and scenario, so it has to be asked for: `python -m bench loss`. ATC_BENCH_RUNS is
the number of runs, 30 when missing; ATC_BENCH_ONLY a part of the names of scenarios.
"""

from __future__ import annotations

import os
import random
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.figures import Figure
from tests.system.machines import Outcome, world
from tests.system.scenarios import ALL, Scenario

RUNS = int(os.environ.get("ATC_BENCH_RUNS", "30"))
ONLY = os.environ.get("ATC_BENCH_ONLY", "")
_LONGEST_PAUSE = 2.0


@dataclass
class Tally:
    """What became of the runs of one scenario."""

    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # runs in which something did not start, or did not go on

    @property
    def bad(self) -> list[Outcome]:
        """Databases that are damaged, have what nobody wrote, or miss something in between."""
        return [each for each in self.outcomes if each.integrity != "ok" or each.invented or each.holes]


def run() -> Iterator[Figure]:
    """The figures, four for each scenario."""
    for scenario in ALL:
        if ONLY in scenario.name:
            yield from _figures(scenario, _tally(scenario))


def _tally(scenario: Scenario) -> Tally:
    tally = Tally()
    for number in range(RUNS):
        try:
            with world(scenario.settings) as made:
                tally.outcomes.append(scenario.run(made, random.uniform(0, _LONGEST_PAUSE)))
        except AssertionError as problem:
            where = traceback.extract_tb(problem.__traceback__)[1]
            tally.failures.append(f"{where.name}:{where.lineno} {problem}".replace("\n", " ")[:100])
            print(f"{scenario.name}, run {number + 1}:", file=sys.stderr)
            traceback.print_exc()
    return tally


def _figures(scenario: Scenario, tally: Tally) -> Iterator[Figure]:
    outcomes = tally.outcomes
    total, found = sum(each.acknowledged for each in outcomes), sum(each.found for each in outcomes)
    lost = max((each.lost for each in outcomes), default=0)
    seconds = max((each.seconds for each in outcomes), default=0.0)
    note = f"{len(outcomes)} runs, {total:,} rows acknowledged, {found:,} found"
    yield Figure("loss", f"{scenario.name}: rows lost, most", lost, "rows", None if scenario.bound else 0, note)
    if scenario.bound:
        yield Figure("loss", f"{scenario.name}: the oldest of them", seconds, "s", scenario.bound)
    yield Figure("loss", f"{scenario.name}: forked or damaged", len(tally.bad), "runs", 0)
    yield Figure("loss", f"{scenario.name}: did not start", len(tally.failures), "runs", 0, "; ".join(tally.failures))
