"""What a platform is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Tree(Protocol):
    """The files of an application, to be looked at only."""

    def text(self, path: str) -> str:
        """What is in a file; '' when there is none of that name."""

    def names(self, pattern: str) -> tuple[str, ...]:
        """The files and directories that match a pattern such as `db/migrate/*.rb`, sorted."""


@dataclass(frozen=True)
class Detected:
    """An application that a platform knows."""

    because: str  # for people: `rails 7.2.2 in Gemfile.lock`
    app: Mapping[str, Any] = field(default_factory=dict)  # keys of `app:` that it needs besides the preset


def _detect_nothing(_: Tree) -> Detected | None:
    return None


@dataclass(frozen=True)
class Platform:
    """How applications of one framework are run."""

    name: str  # what `app.platform` says
    title: str  # for people
    app: Mapping[str, Any] = field(default_factory=dict)  # the preset: keys of `app:`
    detect: Callable[[Tree], Detected | None] = _detect_nothing
