"""docs/simulator.md names every item, every switch, and nothing that is not there; every item has a test."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from simulator.description import AppSpec, EdgeSpec, FleetSpec
from simulator.fleet import Fleet
from simulator.running import Running
from simulator.unknowns import Unknowns
from tests.docs.pages import ROOT, cells

PAGE = ROOT / "docs/simulator.md"
ITEMS = range(1, 37)


def test_every_item_has_a_row() -> None:
    """In order."""
    assert [int(row[0]) for row in cells(PAGE, "What it does")] == list(ITEMS)


def test_every_item_has_a_test() -> None:
    """By its number."""
    tests = "".join(each.read_text("utf-8") for each in Path(__file__).parent.glob("test_*.py"))

    assert {int(each) for each in re.findall(r"^def test_item_(\d+)_", tests, re.MULTILINE)} == set(ITEMS)


def test_every_switch_has_a_place() -> None:
    """One field, one row; a word of the file is another matter."""
    named = re.findall(r"`(\w+)`", " ".join(row[3] for row in cells(PAGE, "What it does")))
    of_the_file = {*FleetSpec.model_fields, *AppSpec.model_fields, *EdgeSpec.model_fields}

    assert sorted(set(named) - of_the_file) == sorted(each.name for each in fields(Unknowns))


def test_what_tests_may_call_exists() -> None:
    """In both worlds."""
    rows = {row[0]: re.findall(r"`\.?(\w+)", row[1]) for row in cells(PAGE, "In tests")}

    for name in rows["move it"]:
        assert hasattr(Running, name), name
    for name in [*rows["make it fail"][:-1], "deliveries", "errors", "codes"]:
        assert hasattr(Fleet, name), name
