"""What the pages show is true: files compile, commands exist, links lead somewhere, generated pages are fresh."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from atcgen.cli import main
from atcgen.compiler.platforms_page import platforms_page
from atcgen.compiler.reference import EXAMPLES, configuration_page, diagnostics_page, example_says
from atcgen.compiler.schema import Level
from atcgen.diagnostics import MEANINGS, Code
from simulator.description import read_fleet
from tests.compiler.compiling import TEMPLATES, complaints, machine
from tests.compiler.test_completeness import SECTIONS
from tests.docs.pages import PAGES, ROOT, Block, anchors, atc_commands, blocks, links, shell_lines

_KINDS = {"", "yaml", "yaml fragment", "yaml example", "yaml fleet", "sh", "text", "ruby"}
_HARMLESS = {"check", "diff", "explain", "plan", "schema"}
_TENANTS = """\
users:
  bellevue: {region: sea, tenants: {2025/winter: {}}}
  boston: {tenants: {2025/april: {}}}
"""


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_whole_atc_yml_compiles(block: Block) -> None:
    """Without a word of complaint."""
    known = {"FLEET_SECRET": "known to all machines", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}

    assert complaints(block.text, machine(known)) == ()


@pytest.mark.parametrize("block", blocks("yaml fleet"), ids=str)
def test_a_whole_fleet_is_understood(block: Block) -> None:
    """By the simulator."""
    assert read_fleet(block.text).machines


def test_blocks_are_of_known_kinds() -> None:
    """A file that is misspelt as something else would not be compiled."""
    assert {each.kind for each in blocks()} <= _KINDS
    assert {each.page for each in blocks("yaml example")} == {"diagnostics.md"}
    assert len(blocks("yaml fragment")) <= 1


@pytest.mark.parametrize(("place", "words"), atc_commands(), ids=str)
def test_a_command_and_its_options_exist(place: str, words: list[str]) -> None:
    """As click understands them; nothing is run."""
    command = main.get_command(click.Context(main), words[0])

    assert command is not None, place
    if len(words) > 1:
        command.make_context(words[0], words[1:])


def test_what_a_reader_types_is_atc_or_make() -> None:
    """Anything else would not be tested here; and a target of make exists."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for place, line in shell_lines():
        program, word, *_ = line.split()
        assert program in ("atc", "make"), place
        assert program == "atc" or word in targets, place


def test_harmless_commands_run(tmp_path: Path) -> None:
    """In a directory with a file of two users."""
    for name in ("atc.yml", "new.yml"):
        (tmp_path / name).write_text(_TENANTS)
    lines = {line for _, line in shell_lines() if line.startswith("atc ") and line.split()[1] in _HARMLESS}

    assert lines
    for line in sorted(lines):
        words = [sys.executable, "-m", "atcgen", *line.split()[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_links_lead_somewhere() -> None:
    """To a file, and to a heading in it."""
    for page, target in links():
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target}"


def test_every_page_is_named_by_the_readme() -> None:
    """Nobody finds a page that nothing leads to."""
    named = {Path(target).name for page, target in links() if page.name == "README.md"}

    assert named == {each.name for each in PAGES if each.parent == ROOT / "docs"}


MADE: dict[str, Callable[[], str]] = {
    "configuration.md": configuration_page,
    "platforms.md": platforms_page,
    "diagnostics.md": lambda: diagnostics_page(TEMPLATES),
}


@pytest.mark.parametrize("name", MADE)
def test_a_generated_page_is_fresh(name: str) -> None:
    """It says what the code says."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == MADE[name](), f"docs/{name} is old: run `make docs`"


def test_make_docs_writes_the_generated_pages(tmp_path: Path) -> None:
    """The command behind it, into another directory."""
    subprocess.run([sys.executable, "-m", "atcgen", "reference", str(tmp_path)], check=True, timeout=60)

    assert "$(VENV)/bin/atc reference docs" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {each.name for each in tmp_path.iterdir()} == set(MADE)
    assert (tmp_path / "configuration.md").read_text(encoding="utf-8") == configuration_page()


def test_every_kind_of_diagnostic_has_an_example_of_it_alone() -> None:
    """What is shown is what the heading says."""
    assert set(EXAMPLES) == set(MEANINGS) == set(Code)
    for code in Code:
        said = example_says(code, TEMPLATES)
        kinds = set(re.findall(r"\[([a-z-]+)\]$", said, re.MULTILINE))
        assert kinds == {code.value}, said


def test_every_section_and_key_stands_in_the_reference() -> None:
    """With its description."""
    page = configuration_page()
    for section in SECTIONS:
        if not section.model_fields:
            continue
        assert (section.__doc__ or "").split("\n")[0] in page
        for key, field in section.model_fields.items():
            shared = Level.model_fields.get(key)
            said = shared if shared and issubclass(section, Level) else field
            row = next(line for line in page.splitlines() if f"| {said.description} |" in line)
            assert row.startswith(f"| `{key}` |")
