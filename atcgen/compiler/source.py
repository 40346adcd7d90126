"""YAML text to a located document: plain data beside a table of positions.

Reads YAML as its authors mean it: the only booleans are `true` and `false`, numbers are plain decimal, and an
unquoted word that other readers would turn into something else is reported instead of passed on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from atcgen.compiler.quoting import is_utf8
from atcgen.diagnostics import Code, Diagnostic, Position

# The C parser is about eight times as fast; both build the same nodes.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Path = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+\Z")
_SURPRISES = (
    (re.compile(r"(?i)(yes|no|on|off)\Z"), "a boolean"),
    (re.compile(r"(True|TRUE|False|FALSE)\Z"), "a boolean"),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?\Z"), "a number in base 60"),
    (re.compile(r"[-+]?0[0-7_]+\Z"), "an octal number"),
    (re.compile(r"[-+]?0[xob][0-9a-fA-F_]+\Z"), "a number in another base"),
    (re.compile(r"[-+]?[0-9][0-9]*_[0-9_]*\Z"), "a number"),
    (
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"),
        "a number",
    ),
)
_NULLS = {"", "~", "null", "Null", "NULL"}
_MAX_DEPTH = 64
_MAX_NODES = 500_000
_MAX_DIGITS = 4_000  # Python refuses to read longer numbers


@dataclass(frozen=True)
class Document:
    """What was written, and where: `data` is plain, `values` and `keys` map a path to its position."""

    file: str
    data: Any
    values: Mapping[Path, Position] = field(repr=False)
    keys: Mapping[Path, Position] = field(repr=False)

    def at(self, path: Path) -> Position:
        """The position of a path, or of the nearest thing above it that was written."""
        while path:
            found = self.keys.get(path) or self.values.get(path)
            if found:
                return found
            path = path[:-1]
        return self.values.get((), Position(self.file, 1, 1))

    def value_at(self, path: Path) -> Position:
        """The position of a path's value rather than of its key."""
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path) or self.at(path)


def parse(text: str, file: str) -> tuple[Document, list[Diagnostic]]:
    """YAML text to a document and what is wrong with it; never raises for bad input."""
    empty = Document(file, {}, {}, {})
    builder = _Builder(file)
    if not is_utf8(text):
        return empty, [Diagnostic(_first_bad_character(text, file), "the file is not UTF-8 text", Code.YAML_SYNTAX)]
    try:
        _refuse_depth(text)
        node = yaml.compose(text, Loader=_Loader)
        data = builder.build(node, ()) if node is not None else {}
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        words = " ".join(each for each in (problem.context, problem.problem) if each)
        return empty, [Diagnostic(where, words or "cannot be read", Code.YAML_SYNTAX)]
    except (yaml.YAMLError, ValueError) as problem:
        return empty, [Diagnostic(_first_bad_character(text, file), _first_line(problem), Code.YAML_SYNTAX)]
    return Document(file, data, builder.values, builder.keys), builder.problems


def _refuse_depth(text: str) -> None:
    """Raise for a depth that the composer, which is recursive and written in C, would not survive."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH:
            raise _too_much(event.start_mark)


def _too_much(mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem="is nested too deeply or repeats itself", problem_mark=mark)


def _first_line(problem: Exception) -> str:
    return str(problem).strip().splitlines()[0]


def _first_bad_character(text: str, file: str) -> Position:
    """Where the first character stands that YAML does not allow in a file."""
    for number, line in enumerate(text.split("\n"), start=1):
        found = re.search(r"[^\t\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", line)
        if found:
            return Position(file, number, found.start() + 1)
    return Position(file, 1, 1)


class _Builder:
    """Walks the nodes of one file; collects data, positions and problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.values: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self.problems: list[Diagnostic] = []
        self._count = 0

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._count_in(node)
        if len(path) > _MAX_DEPTH:  # an anchor that holds itself
            raise _too_much(node.start_mark)
        where = self.position(node)
        self.values[path] = where
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(each, (*path, index)) for index, each in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, where)

    def _count_in(self, node: yaml.Node) -> None:
        self._count += 1
        if self._count > _MAX_NODES:  # anchors that multiply
            raise _too_much(node.start_mark)

    def position(self, node: yaml.Node) -> Position:
        return Position(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        own: dict[str, Position] = {}
        for key_node, value_node, merged in self._pairs(node, 0):
            where = self.position(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(where, "a key must be a word", Code.WRONG_TYPE)
                continue
            key = key_node.value
            if key in own:
                if not merged:
                    self._report(
                        where, f"key '{key}' is given twice", Code.DUPLICATE_KEY, f"first given at line {own[key].line}"
                    )
                continue
            if not key_node.style and not merged:
                self._surprise(key, where)
            own[key] = where
            self.keys[(*path, key)] = where
            result[key] = self.build(value_node, (*path, key))
        return result

    def _pairs(self, node: yaml.MappingNode, depth: int) -> Iterator[tuple[yaml.Node, yaml.Node, bool]]:
        """The pairs of a mapping, own ones first, then those that `<<` merges in, which never override."""
        merges: list[yaml.Node] = []
        for key, value in node.value:
            self._count_in(key)
            if isinstance(key, yaml.ScalarNode) and key.value == "<<" and not key.style:
                merges += value.value if isinstance(value, yaml.SequenceNode) else [value]
            else:
                yield key, value, False
        for each in merges:
            if not isinstance(each, yaml.MappingNode) or depth > _MAX_DEPTH:
                self._report(self.position(each), "only mappings can be merged with '<<'", Code.WRONG_TYPE)
                continue
            for key, value, _ in self._pairs(each, depth + 1):
                yield key, value, True

    def _scalar(self, node: yaml.ScalarNode, where: Position) -> Any:
        text: str = node.value
        if node.style:  # quoted, or a block
            return text
        if text in _NULLS:
            return None
        if text in ("true", "false"):
            return text == "true"
        if _INTEGER.match(text) and len(text) <= _MAX_DIGITS:
            return int(text)
        if _FLOAT.match(text):
            return float(text)
        self._surprise(text, where)
        return text

    def _surprise(self, text: str, where: Position) -> None:
        for pattern, reading in _SURPRISES:
            if pattern.match(text) and not _plain_number(text):
                hint = f"write '{text}' with quotes if that is what it should say"
                if reading == "a boolean":
                    hint = f"write true or false, or '{text}' with quotes"
                self._report(where, f"{text} without quotes is {reading} to other readers", Code.YAML_SURPRISE, hint)
                return

    def _report(self, where: Position, message: str, code: Code, hint: str = "") -> None:
        self.problems.append(Diagnostic(where, message, code, hint=hint))


def _plain_number(text: str) -> bool:
    return bool(_INTEGER.match(text) or _FLOAT.match(text))
