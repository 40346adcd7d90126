"""What a platform is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Tree(Protocol):
    """The files of an application, to be looked at only. Paths are relative to its directory, with slashes."""

    def text(self, path: str) -> str:
        """What is in a file; '' when there is none of that name."""

    def names(self, pattern: str) -> tuple[str, ...]:
        """The files and directories that match a pattern such as `db/migrate/*.rb`, sorted; '*' is part of one name.

        `**/` is any directories but those of others' code: node_modules, vendor, virtual environments, hidden ones.
        """


@dataclass(frozen=True)
class Detected:
    """An application that a platform knows."""

    because: str  # for people: `rails 7.2.2 in Gemfile.lock`
    app: Mapping[str, Any] = field(default_factory=dict)  # keys of `app:` that it needs besides the preset
    weight: int = 1  # several platforms may know an application: the heaviest is meant, such as Prisma above node
    databases: tuple[str, ...] = ()  # SQLite files that are there and hold its data so far, such as `db.sqlite3`
    says: tuple[str, ...] = ()  # sentences about what is found besides, or is left for the owner to do


def _detect_nothing(_: Tree) -> Detected | None:
    return None


@dataclass(frozen=True)
class Platform:
    """How applications of one framework are run."""

    name: str  # what `app.platform` says
    title: str  # for people
    app: Mapping[str, Any] = field(default_factory=dict)  # the preset: keys of `app:`
    detect: Callable[[Tree], Detected | None] = _detect_nothing
