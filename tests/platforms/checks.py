"""What was looked at of an application, and how it went; `python -m tests.platforms.checks FILE` prints the table."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    place: str  # the scheme and the tenant: `https boston/2025/april`
    problem: str = ""  # '' when it holds


class Findings:
    """Collects checks: the rest is looked at all the same when one fails."""

    def __init__(self) -> None:
        self.checks: list[Check] = []

    @contextmanager
    def check(self, name: str, place: str) -> Iterator[None]:
        """What happens inside is one check; whatever is raised is its problem."""
        try:
            yield
        except Exception as wrong:  # also those of the libraries: each says what does not hold
            self.checks.append(Check(name, place, f"{type(wrong).__name__}: {wrong}"))
        else:
            self.checks.append(Check(name, place))


def failures(checks: Sequence[Check]) -> list[str]:
    """What does not hold, a line each."""
    return [f"{each.name} ({each.place}): {each.problem}" for each in checks if each.problem]


def record(platform: str, checks: Sequence[Check]) -> None:
    """Add a line to the file that ATC_CHECKS names, for the table; nothing when it names none."""
    if file := os.environ.get("ATC_CHECKS"):
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"platform": platform, "checks": [asdict(each) for each in checks]}) + "\n")


def table(results: Mapping[str, Sequence[Check]]) -> str:
    """Platforms by checks, as Markdown: how many hold of how many."""
    names = list(dict.fromkeys(each.name for checks in results.values() for each in checks))
    lines = ["| platform | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for platform, checks in results.items():
        cells = []
        for name in names:
            mine = [not each.problem for each in checks if each.name == name]
            cells.append(f"{sum(mine)}/{len(mine)}" + ("" if all(mine) else " FAIL") if mine else "")
        lines.append(f"| {platform} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _read(file: Path) -> dict[str, list[Check]]:
    said = [json.loads(each) for each in file.read_text(encoding="utf-8").splitlines()]
    return {each["platform"]: [Check(**one) for one in each["checks"]] for each in said}


if __name__ == "__main__":
    print(table(_read(Path(sys.argv[1]))))
