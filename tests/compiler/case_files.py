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
    """One atc.yml and what is expected of it, by the name of the part."""

    file: str
    name: str
    text: str
    parts: dict[str, str]

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
    parts = dict(each.partition("\n")[::2] for each in tail)
    return Case(
        file,
        name,
        head.strip("\n") + "\n" if head.strip("\n") else "",
        {key: v.strip("\n") for key, v in parts.items()},
    )


def rewrite(said: dict[tuple[str, str], str]) -> None:
    """Write what the compiler says now into the case files; the difference is to be read like code."""
    for file in sorted(CASES.glob("*.case")):
        cases = parse(file.stem, file.read_text("utf-8"))
        file.write_text("\n".join(_written(each, said.get((each.file, each.name), "")) for each in cases), "utf-8")


def _written(case: Case, says: str) -> str:
    parts = {key: value for key, value in case.parts.items() if key != "says"}
    if says:
        parts["says"] = says
    return "".join([f"{_CASE}{case.name}\n{case.text}", *(f"{_PART}{key}\n{value}\n" for key, value in parts.items())])
