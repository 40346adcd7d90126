"""The case files: what the compiler says of an atc.yml, word for word, and what it writes.

`ATC_REWRITE_CASES=1` writes what it says now into the files.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import yaml

from atcgen.compiler.plan import Host
from atcgen.diagnostics import MEANINGS, Code
from tests.compiler.case_files import Case, parse, read_cases, rewrite
from tests.compiler.compiling import compiled, complaints, machine

CASES = read_cases()


def host_of(case: Case) -> Host:
    """The machine of a case."""
    facts: dict[str, Any] = yaml.safe_load(case.part("host") or "{}")
    holding = facts.pop("holds_data", ())
    return machine(
        facts.pop("environ", None),
        holds_data=lambda path: path in holding,
        **{key: tuple(each) if isinstance(each, list) else each for key, each in facts.items()},
    )


def says(case: Case) -> str:
    """Everything the compiler has to say about a case."""
    return "\n".join(str(each) for each in complaints(case.text, host_of(case)))


@pytest.fixture(scope="session", autouse=True)
def _rewritten() -> None:
    if os.environ.get("ATC_REWRITE_CASES"):
        rewrite({(each.file, each.name): says(each) for each in CASES})
        CASES[:] = read_cases()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_compiler_says_what_the_case_says(case: Case) -> None:
    """Every diagnostic with its place, severity, words, code and hint, in order."""
    assert case.part("says") == says(case)


@pytest.mark.parametrize("case", [each for each in CASES if each.extracts], ids=str)
def test_the_generated_files_hold_what_the_case_shows(case: Case) -> None:
    """The lines of an extract stand together and in order in the generated file."""
    files = compiled(case.text, host_of(case)).files
    for name, extract in case.extracts:
        lines = [each.strip() for each in files[name].splitlines()]
        wanted = [each.strip() for each in extract.splitlines()]
        starts = range(len(lines) - len(wanted) + 1)
        assert any(lines[start : start + len(wanted)] == wanted for start in starts), files[name]


def test_case_names_are_their_own() -> None:
    """A failure names one case."""
    assert len({str(each) for each in CASES}) == len(CASES)


def test_every_code_is_produced_by_a_case() -> None:
    """Nobody adds a kind of diagnostic without showing it."""
    shown = {code for code in Code for case in CASES if f"[{code}]" in case.part("says")}

    assert set(Code) == shown


def test_every_code_has_a_meaning() -> None:
    """The meanings are what documentation prints."""
    assert set(Code) == set(MEANINGS)
    assert all(each.strip() for each in MEANINGS.values())


def test_a_case_file_reads_back_as_it_is_written() -> None:
    """The reader keeps the text of a case apart from its parts."""
    (case,) = parse("f", "==== n\na: b\n---- host\ncpus: 2\n---- says\nx\n    hint: y\n")

    assert Case("f", "n", "a: b\n", (("host", "cpus: 2"), ("says", "x\n    hint: y"))) == case
