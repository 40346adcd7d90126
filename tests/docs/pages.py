"""Reads the pages: their blocks, commands, links and headings."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(r"^ *```([^\n`]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(atc [a-z]+[^`\n]*)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*kinds: str) -> list[Block]:
    """The blocks of the pages, all or those of some kinds."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for each in _BLOCK.finditer(text):
            line = text.count("\n", 0, each.start()) + 1
            found.append(Block(page.name, line, each[1].strip(), dedent(each[2])))
    return [each for each in found if not kinds or each.kind in kinds]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def shell_lines() -> list[tuple[str, str]]:
    """Every line of every block that a reader would type, with its place."""
    return [(f"{block}", line) for block in blocks("sh") for line in block.text.splitlines() if line.strip()]


def atc_commands() -> list[tuple[str, list[str]]]:
    """Every `atc ...` of the pages as words, with its place: in blocks, and in the text."""
    found = [(place, line) for place, line in shell_lines() if line.startswith("atc ")]
    for page in PAGES:
        found += [(page.name, command) for command in _INLINE.findall(prose(page))]
    return [(place, shlex.split(command)[1:]) for place, command in found]


def links() -> list[tuple[Path, str]]:
    """Every link of a page to a file of this project."""
    return [(page, each) for page in PAGES for each in _LINK.findall(prose(page)) if "://" not in each]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = _HEADING.findall(prose(page))
    return {re.sub(r"[^a-z0-9 _-]", "", each.lower()).replace(" ", "-") for each in headings}


def cells(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading, without the two that head it."""
    text = prose(page).partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line[1:-1].split("|") for line in text.splitlines() if line.startswith("|")]
    return [[each.strip() for each in row] for row in rows[2:]]
