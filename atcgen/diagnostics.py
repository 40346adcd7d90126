"""Diagnostics: what is wrong with a file, where, and how it is written out.

One line each, as compilers write it, so that editors and CI find the place:

    atc.yml:7:5: error: unknown key 'idle_timout' [unknown-key]
        hint: did you mean 'idle_timeout'?
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Whether a diagnostic stops the compiler."""

    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """Every kind of diagnostic, with its meaning."""

    YAML_SYNTAX = "yaml-syntax"
    YAML_SURPRISE = "yaml-surprise"
    DUPLICATE_KEY = "duplicate-key"
    UNKNOWN_KEY = "unknown-key"
    UNKNOWN_VARIABLE = "unknown-variable"
    MISSING_KEY = "missing-key"
    MISSING_ENVIRONMENT = "missing-environment"
    WRONG_TYPE = "wrong-type"
    OUT_OF_RANGE = "out-of-range"
    BAD_VALUE = "bad-value"
    BAD_NAME = "bad-name"
    NAME_CLASH = "name-clash"
    PATH_CLASH = "path-clash"
    HIDDEN_DATA = "hidden-data"
    NO_STORE = "no-store"
    UNREPRESENTABLE = "unrepresentable-value"
    UNFIT_FOR_TARGET = "unfit-for-target"
    LOST_ON_RELOAD = "lost-on-reload"


MEANINGS: dict[Code, str] = {
    Code.YAML_SYNTAX: "The file is not YAML.",
    Code.YAML_SURPRISE: "YAML readers disagree about this unquoted word (`on`, `NO`, `22:30`, `1.10`); "
    "quote it, or write true, false or a plain number.",
    Code.DUPLICATE_KEY: "A key is given twice in one mapping; YAML readers would silently drop one of them.",
    Code.UNKNOWN_KEY: "The key means nothing here. Top-level keys that begin with `x-` are free for anchors.",
    Code.UNKNOWN_VARIABLE: "A `${...}` names nothing that is known at this place.",
    Code.MISSING_KEY: "A key that is required here is missing.",
    Code.MISSING_ENVIRONMENT: "`${ENV:NAME}` names a variable that is not set where atc runs.",
    Code.WRONG_TYPE: "The value is of another type than the key takes.",
    Code.OUT_OF_RANGE: "The number, duration or size is outside the limits of the key.",
    Code.BAD_VALUE: "The value is of the right type, and still not one the key takes.",
    Code.BAD_NAME: "A user, tenant, path or host is spelt in a way that cannot stand in a URL.",
    Code.NAME_CLASH: "Two things would have the same name, database or directory.",
    Code.PATH_CLASH: "Two tenants would answer the same URL.",
    Code.HIDDEN_DATA: "There is data in the release where every tenant has a version of its own: they will not see it. "
    "Nothing is deleted; see [release.md](release.md).",
    Code.NO_STORE: "This machine cannot use the store of `storage.replica` now: its keys are not set, or its directory "
    "is not there, such as a disk that is not mounted.",
    Code.UNREPRESENTABLE: "nginx or supervisord has no way to write this value in its configuration.",
    Code.UNFIT_FOR_TARGET: "It is not what `fleet.target` needs, or another file beside atc.yml, such as fly.toml, "
    "says otherwise.",
    Code.LOST_ON_RELOAD: "The installed nginx is older than 1.27.4: a reload closes idle keep-alive connections, "
    "and a request already on its way on one of them is lost unless the client repeats it, as browsers do.",
}


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Diagnostic:
    """One problem at one place."""

    position: Position
    message: str
    code: Code
    severity: Severity = Severity.ERROR
    hint: str = ""

    def __str__(self) -> str:
        line = f"{self.position}: {self.severity}: {self.message} [{self.code}]"
        return f"{line}\n    hint: {self.hint}" if self.hint else line

    def to_json(self) -> dict[str, str | int]:
        """The diagnostic as plain data, for `--json`."""
        return {
            "file": self.position.file,
            "line": self.position.line,
            "column": self.position.column,
            "severity": self.severity.value,
            "code": self.code.value,
            "message": self.message,
            "hint": self.hint,
        }


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those that stop the compiler."""
    return [each for each in diagnostics if each.severity is Severity.ERROR]


def closest(word: str, known: Iterable[str]) -> str:
    """The hint for a misspelt word, or "" when nothing is near.

    Sorted by likeness, then by name, so that the answer is stable.
    """
    from difflib import SequenceMatcher  # noqa: PLC0415 - the agent never needs it

    scored = ((SequenceMatcher(None, word.lower(), each.lower()).ratio(), each) for each in known)
    near = sorted(((-score, each) for score, each in scored if score > 0.7))
    return f"did you mean '{near[0][1]}'?" if near else ""
