"""Reads and rewrites case files: an atc.yml beside what the compiler makes of it.

    ==== a misspelt key
    app: {strat: x}
    ---- says
    atc.yml:1:7: error: unknown key 'strat' [unknown-key]
        hint: did you mean 'start'?

The parts of a case, each behind a line of dashes: `host` is a YAML mapping of facts about the machine, `says` is every
diagnostic, and any other name is a generated file of which the lines stand somewhere, together and in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CASES = Path(__file__).parent / "cases"
_CASE = "==== "
_PART = "---- "


@dataclass(frozen=True)
class Case:
    """One atc.yml and what is expected of it: its parts with their names, of which a file's may come again."""

    file: str
    name: str
    text: str
    parts: tuple[tuple[str, str], ...]

    def part(self, name: str) -> str:
        """`host` or `says`; '' when there is none."""
        return dict(self.parts).get(name, "")

    @property
    def extracts(self) -> tuple[tuple[str, str], ...]:
        """Generated files, and lines of each."""
        return tuple(each for each in self.parts if each[0] not in ("host", "says"))

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def read_cases() -> list[Case]:
    """Every case of every file."""
    return [case for file in sorted(CASES.glob("*.case")) for case in parse(file.stem, file.read_text("utf-8"))]


def parse(file: str, text: str) -> list[Case]:
    """The cases of one file."""
    chunks = ("\n" + text).split("\n" + _CASE)[1:]
    return [_case(file, chunk) for chunk in chunks]


def _case(file: str, chunk: str) -> Case:
    name, _, rest = chunk.partition("\n")
    head, *tail = ("\n" + rest).split("\n" + _PART)
    parts = (each.partition("\n")[::2] for each in tail)
    return Case(
        file,
        name,
        head.strip("\n") + "\n" if head.strip("\n") else "",
        tuple((key, v.strip("\n")) for key, v in parts),
    )


def rewrite(said: dict[tuple[str, str], str]) -> None:
    """Write what the compiler says now into the case files; the difference is to be read like code."""
    for file in sorted(CASES.glob("*.case")):
        cases = parse(file.stem, file.read_text("utf-8"))
        file.write_text("\n".join(_written(each, said.get((each.file, each.name), "")) for each in cases), "utf-8")


def _written(case: Case, says: str) -> str:
    parts = [each for each in case.parts if each[0] != "says"]
    if says:
        parts.append(("says", says))
    return "".join([f"{_CASE}{case.name}\n{case.text}", *(f"{_PART}{key}\n{value}\n" for key, value in parts)])
