"""What an import gives: an atc.yml, and what of the other file has no meaning in it; and how that file is read."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from atcgen.compiler.source import Document, Path, parse
from atcgen.diagnostics import Code, Diagnostic, Position, errors
from atcgen.errors import Rejected


@dataclass(frozen=True, order=True)
class Lost:
    """A key of the other file that has no meaning in atc.yml."""

    position: Position
    message: str
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.position}: {self.message}"
        return f"{line}\n    hint: {self.hint}" if self.hint else line


@dataclass(frozen=True)
class Imported:
    """An atc.yml, and what was lost on the way to it, in order of the file."""

    text: str
    lost: tuple[Lost, ...]


@dataclass
class Source:
    """A file of another program: its data, its comments, and notes of what could not be taken over."""

    text: str
    document: Document
    lost: list[Lost] = field(default_factory=list)
    _commented: set[Path] = field(default_factory=set)

    @classmethod
    def read(cls, text: str, file: str) -> Source:
        """Raises `Rejected` for what is no YAML, or no mapping."""
        document, problems = parse(text, file)
        fatal = [each for each in errors(problems) if each.code in (Code.YAML_SYNTAX, Code.DUPLICATE_KEY)]
        if not fatal and not isinstance(document.data, dict):
            fatal = [Diagnostic(document.at(()), "must be a mapping", Code.WRONG_TYPE)]
        if fatal:
            raise Rejected(fatal)
        return cls(text, document)

    @property
    def data(self) -> dict[str, Any]:
        """What the file says."""
        found: dict[str, Any] = self.document.data
        return found

    def lose(self, path: Path, why: str, hint: str = "") -> None:
        """Note that something has no meaning in atc.yml."""
        name = ".".join(str(each) for each in path)
        self.lost.append(Lost(self.document.at(path), f"{name}: {why}", hint))

    def lose_others(self, path: Path, known: Iterable[str], why: str = "means nothing in atc.yml") -> None:
        """Note every key of a mapping that is not one of those known."""
        found = self.at(path)
        for key in found if isinstance(found, dict) else ():
            if key not in set(known):
                self.lose((*path, key), why)

    def note(self, path: Path, why: str) -> None:
        """Say something of a key that is taken over."""
        self.lose(path, why)

    def words(self, found: Iterable[Any]) -> str:
        """Words as a command that a shell reads as these; what it would read otherwise is quoted."""
        return " ".join(_quoted(str(each)) for each in found)

    def duration(self, path: Path) -> str:
        """A duration in the words of Go, or with years and weeks, as one of atc.yml."""
        text = str(self.at(path)).strip()
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", text)
        if text.isdigit():
            return f"{text}s"
        if not parts or "".join(number + unit for number, unit in parts) != text:
            self.lose(path, f"'{text}' is no duration")
            return "10m"
        days = {"w": 7, "y": 365}
        return "".join(f"{float(n) * days[u]:g}d" if u in days else n + u for n, u in parts)

    def at(self, path: Path) -> Any:
        """What stands at a path; None where nothing does."""
        found: Any = self.data
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found

    def comment(self, made: CommentedMap, key: str, depth: int, *paths: Path) -> None:
        """Put the comments of keys of the other file above and beside one that is made of them, once."""
        found = [self._comments(each) for each in paths if each not in self._commented]
        self._commented.update(paths)
        above = [line for lines, _ in found for line in lines]
        beside = " ".join(filter(None, (text for _, text in found)))
        if above:
            made.yaml_set_comment_before_after_key(key, before="\n".join(above), indent=depth * 2)
        if beside:
            made.yaml_add_eol_comment(beside, key)

    def above(self, *paths: Path) -> str:
        """The comments above and beside some keys, as lines."""
        found = [self._comments(each) for each in paths if each not in self._commented]
        self._commented.update(paths)
        return "\n".join(line for above, beside in found for line in (*above, beside) if line)

    def _comments(self, path: Path) -> tuple[list[str], str]:
        where = self.document.keys.get(path) or self.document.values.get(path)
        if where is None:
            return [], ""
        lines = self.text.splitlines()
        above: list[str] = []
        number = where.line - 2
        while number >= 0 and lines[number].lstrip().startswith("#"):
            above.insert(0, lines[number].lstrip()[1:].removeprefix(" "))
            number -= 1
        rest = lines[where.line - 1][where.column - 1 :]
        bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'", lambda each: "x" * len(each[0]), rest)
        found = re.search(r"(?:^|\s)#\s?(.*)$", bare)
        return above, rest[found.start(1) :].rstrip() if found else ""

    def imported(self, made: CommentedMap) -> Imported:
        """The file that was made, below the comments that the other one began with."""
        yaml = YAML()
        yaml.width = 10_000
        yaml.indent(mapping=2, sequence=4, offset=2)
        out = io.StringIO()
        yaml.dump(made, out)
        return Imported(out.getvalue(), tuple(sorted(set(self.lost))))


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w@%+=:,./{}-]+", word) else "'" + word.replace("'", "'\"'\"'") + "'"


def in_one_line(values: dict[str, Any]) -> CommentedMap:
    """A mapping that is spelt `{key: value}`."""
    made = CommentedMap(values)
    made.fa.set_flow_style()
    return made
