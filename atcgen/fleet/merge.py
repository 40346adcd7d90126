"""Two texts that were made from one: what is different, and both changes together. No effects."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher, unified_diff


class Clash(Exception):
    """Both changed the same lines; the message shows how."""


def unified(before: str, after: str, name_before: str, name_after: str) -> str:
    """A unified diff, '' when nothing differs."""
    lines = unified_diff(_lines(before), _lines(after), name_before, name_after, n=2)
    return "".join(each if each.endswith("\n") else f"{each}\n" for each in lines)


def merged(base: str, ours: str, theirs: str) -> str:
    """A text with both changes; raises `Clash` when they touch the same lines, or lines next to each other."""
    old, mine, other = _lines(base), _lines(ours), _lines(theirs)
    result: list[str] = []
    done = (0, 0, 0)
    for place in (*_agreed(old, mine, other), (len(old), len(mine), len(other))):
        was, own, their = (text[start:end] for text, start, end in zip((old, mine, other), done, place, strict=True))
        if own != was and their not in (was, own):
            raise Clash(_shown(done[0] + 1, own, their))
        result += own if their == was else their
        if place[0] < len(old):
            result.append(old[place[0]])
        done = (place[0] + 1, place[1] + 1, place[2] + 1)
    return "".join(result)


def _agreed(old: list[str], mine: list[str], other: list[str]) -> Iterator[tuple[int, int, int]]:
    """The lines that both left as they were: where each is in the three texts."""
    here, there = _matches(old, mine), _matches(old, other)
    for line in sorted(here.keys() & there.keys()):
        yield line, here[line], there[line]


def _matches(old: list[str], new: list[str]) -> dict[int, int]:
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return {each.a + step: each.b + step for each in blocks for step in range(each.size)}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _shown(line: int, own: list[str], their: list[str]) -> str:
    yours = "".join(f"  yours:  {each.rstrip()}\n" for each in own) or "  yours:  (removed)\n"
    theirs = "".join(f"  theirs: {each.rstrip()}\n" for each in their) or "  theirs: (removed)\n"
    return f"both changed line {line}:\n{yours}{theirs}".rstrip()
