"""What is lost when things end: two machines share a store, rows are written, something happens at a random moment, and
the other machine says what it has.

It takes about six seconds per run and scenario, so it has to be asked for: `python -m bench loss`. ATC_BENCH_RUNS is
the number of runs, 30 when missing; ATC_BENCH_PARALLEL how many go on at once, each in a process of its own, 1 when
missing; ATC_BENCH_ONLY parts of the names of scenarios, with `|` between them.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from bench.figures import Figure
from tests.system.scenarios import ALL
from tests.system.scenarios.base import Scenario
from tests.system.writer import Outcome

RUNS = int(os.environ.get("ATC_BENCH_RUNS", "30"))
PARALLEL = int(os.environ.get("ATC_BENCH_PARALLEL", "1"))
ONLY = os.environ.get("ATC_BENCH_ONLY", "").split("|")
_LONGEST_PAUSE = 2.0
_COLUMNS = (
    "what happens",
    "runs",
    "rows acknowledged",
    "found elsewhere",
    "lost",
    "forks",
    "starts refused",
    "did not run",
)


@dataclass
class Tally:
    """What became of the runs of one scenario."""

    scenario: Scenario
    outcomes: list[Outcome] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # runs in which something did not start, or did not go on

    @property
    def forks(self) -> list[Outcome]:
        """Databases that are damaged, have what nobody wrote, miss something in between, or were written to twice."""
        return [each for each in self.outcomes if not each.is_one_history]

    @property
    def seconds(self) -> float:
        """How old the oldest row is that was lost in any run."""
        return max((each.seconds for each in self.outcomes), default=0.0)

    def total(self, name: str) -> int:
        """Of one field, in all runs."""
        return sum(getattr(each, name) for each in self.outcomes)

    def row(self) -> str:
        """As a row of a table in Markdown."""
        lost, forked = f"{self.total('lost'):,}", f"{len(self.forks)}"
        if self.total("lost"):
            most = max(each.lost for each in self.outcomes)
            lost += f": at most {most} in a run, of the last {self.seconds:.2f} s"
        if self.total("forked"):
            forked += f", {self.total('forked'):,} rows"
        cells = (
            self.scenario.name,
            f"{len(self.outcomes)}",
            f"{self.total('acknowledged'):,}",
            f"{self.total('found'):,}",
            lost,
            forked,
            f"{self.total('refused'):,}",
            f"{len(self.failures)}",
        )
        return f"| {' | '.join(cells)} |"


_tallies: list[Tally] = []


def run() -> Iterator[Figure]:
    """The figures, four or five for each scenario."""
    for scenario in ALL:
        if any(each in scenario.name for each in ONLY):
            _tallies.append(_tally(scenario))
            print(_tallies[-1].row(), file=sys.stderr, flush=True)
            yield from _figures(_tallies[-1])


def table() -> str:
    """What was measured last, in Markdown."""
    head = [f"| {' | '.join(_COLUMNS)} |", f"|{'---|' * len(_COLUMNS)}"]
    return "\n".join(head + [each.row() for each in _tallies])


def _tally(scenario: Scenario) -> Tally:
    tally = Tally(scenario)
    with ProcessPoolExecutor(PARALLEL, multiprocessing.get_context("spawn")) as pool:
        for number, said in enumerate(pool.map(_once, [ALL.index(scenario)] * RUNS), 1):
            if isinstance(said, Outcome):
                tally.outcomes.append(said)
            else:
                tally.failures.append(said)
            print(f"{scenario.name}, run {number} of {RUNS}: {said}", file=sys.stderr, flush=True)
    return tally


def _once(index: int) -> Outcome | str:
    """One run, or why there was none."""
    try:
        return ALL[index].run(random.uniform(0, _LONGEST_PAUSE))
    except Exception as problem:
        traceback.print_exc()
        frames = traceback.extract_tb(problem.__traceback__)
        where = [each for each in frames if "scenarios" in each.filename][-1:] or frames[-1:]
        return f"{where[0].name}:{where[0].lineno} {problem}".replace("\n", " ")[:100]


def _figures(tally: Tally) -> Iterator[Figure]:
    name, bound = tally.scenario.name, tally.scenario.bound
    lost = max((each.lost for each in tally.outcomes), default=0)
    note = (
        f"{len(tally.outcomes)} runs, {tally.total('acknowledged'):,} rows acknowledged, {tally.total('found'):,} found"
    )
    yield Figure("loss", f"{name}: rows lost, most", lost, "rows", None if bound else 0, note)
    if bound:
        yield Figure("loss", f"{name}: the oldest of them", tally.seconds, "s", bound)
    yield Figure("loss", f"{name}: forked or damaged", len(tally.forks), "runs", 0)
    yield Figure("loss", f"{name}: starts refused", tally.total("refused"), "starts")
    yield Figure("loss", f"{name}: did not run", len(tally.failures), "runs", 0, "; ".join(tally.failures))
