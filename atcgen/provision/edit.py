"""Edits of atc.yml that keep its comments, its order, and every line that they are not about. Text in, text out."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from atcgen.compiler.source import parse
from atcgen.compiler.values import url_path
from atcgen.errors import AtcError

_WIDE = 1_000_000
# A machine's id such as 12345678901234 or 3287114e5018 would be a number to somebody.
_PLAIN_ID = re.compile(r"(?=.*[a-df-z])[a-z0-9]+\Z")


def set_keys(text: str, path: tuple[str, ...], values: dict[str, str]) -> str:
    """Give keys of a mapping a value; the mapping is there."""

    def change(root: CommentedMap) -> None:
        section = _section(root, path)
        for key, value in values.items():
            section[key] = value if key != "instance" or _PLAIN_ID.match(value) else DoubleQuotedScalarString(value)

    return _edited(text, change)


def set_values(text: str, path: tuple[str, ...], values: dict[str, Any]) -> str:
    """Give keys of a mapping a value that is no text; the mapping is made where it is missing."""
    return _edited(text, lambda root: _section(root, path).update(values))


def add_user(text: str, user: str, values: dict[str, Any]) -> str:
    """A user, behind the others."""
    return _edited(text, lambda root: _add(root, ("users",), user, values))


def add_tenant(text: str, user: str, path: str, values: dict[str, Any]) -> str:
    """A tenant of a user, behind the others. Raises `AtcError` when there is one at that path."""
    spelt = parse(text, "")[0].data["users"][user] or {}
    if any(url_path(key) == path for key in spelt.get("tenants") or {}):
        raise AtcError(f"{user} has a tenant at {path} already")
    return _edited(text, lambda root: _add(root, ("users", user, "tenants"), path, values))


def _add(root: CommentedMap, path: tuple[str, ...], key: str, values: dict[str, Any]) -> None:
    section = _section(root, path)
    fresh = CommentedMap(values)
    for inner in values.values():
        if isinstance(inner, CommentedMap):
            inner.fa.set_flow_style()
    siblings = [each for each in section.values() if each]
    in_one_line = not any(_is_block(each) for each in siblings) if siblings else path[-1] == "tenants"
    if section.fa.flow_style() or in_one_line:
        fresh.fa.set_flow_style()
    section[key] = fresh


def _is_block(value: object) -> bool:
    return isinstance(value, CommentedMap) and bool(value) and not value.fa.flow_style()


def empty() -> CommentedMap:
    """An empty mapping, spelt `{}`."""
    made = CommentedMap()
    made.fa.set_flow_style()
    return made


def _section(root: CommentedMap, path: tuple[str, ...]) -> CommentedMap:
    """The mapping at a path; made where it is missing or empty."""
    for wanted in path:
        key = next((each for each in root if str(each) == wanted), wanted)  # a user may be called 2025
        if root.get(key) is None:
            root[key] = CommentedMap()
        elif not root[key] and root[key].fa.flow_style() and not root.fa.flow_style():
            root[key].fa.set_block_style()
        root = root[key]
    return root


def _edited(text: str, change: Any) -> str:
    """The text with a change of what it means; other lines are those that were written."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.indent(mapping=_indentation(text))
    try:
        root = yaml.load(text)
    except YAMLError as problem:
        raise AtcError(f"atc.yml cannot be read: {str(problem).splitlines()[0]}") from None
    before = _dumped(yaml, root) if root is not None else ""
    root = CommentedMap() if root is None else root
    change(root)
    after = _dumped(yaml, root)
    merged = "".join(_merged(text, before, after))
    return merged if _means(merged) == _means(after) else after


def _dumped(yaml: YAML, root: CommentedMap) -> str:
    out = io.StringIO()
    yaml.dump(root, out)
    return out.getvalue()


def _merged(text: str, before: str, after: str) -> Iterator[str]:
    """The lines of `text`, with those changed that differ between the two that were written anew."""
    own, old, new = (each.splitlines(keepends=True) for each in (text, before, after))
    if own and not own[-1].endswith("\n"):
        own[-1] += "\n"
    if len(own) != len(old):
        yield after
        return
    said: list[str] = []
    for kind, first, last, begin, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "insert":
            said[_behind(said, new[begin]) :] = [*new[begin:end], *said[_behind(said, new[begin]) :]]
        else:
            said += own[first:last] if kind == "equal" else new[begin:end]
    yield from said


def _behind(said: list[str], fresh: str) -> int:
    """Where a new line goes: above blank lines, and above comments further left, which are about what follows."""
    margin, place = _margin(fresh), len(said)
    while place and (
        not said[place - 1].strip() or (said[place - 1].lstrip()[0] == "#" and _margin(said[place - 1]) < margin)
    ):
        place -= 1
    return place


def _margin(line: str) -> int:
    return len(line) - len(line.lstrip())


def _means(text: str) -> Any:
    return parse(text, "")[0].data


def _indentation(text: str) -> int:
    """How far the file's first inner mapping is from the margin."""
    found = re.search(
        r"^[A-Za-z_\"'][^\n]*:[ \t]*(?:#[^\n]*)?\n(?:[ \t]*(?:#[^\n]*)?\n)*( +)[^\s#-]", text, re.MULTILINE
    )
    return len(found[1]) if found else 2
