"""The files of an application as they are on the disk, for whoever has to tell what it is (`platforms.Tree`)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

# Others' code, what was built, and what is written while it runs: never looked into.
SKIPPED = frozenset(
    (
        "node_modules",
        "bower_components",
        "vendor",
        "venv",
        "env",
        "virtualenv",
        "site-packages",
        "__pycache__",
        "dist",
        "build",
        "out",
        "coverage",
        "tmp",
        "log",
        "logs",
        "target",
        "_build",
        "deps",
        "storage",
        "staticfiles",
    )
)
_LARGEST = 1_000_000  # bytes; what is larger is not written by people


class ApplicationTree:
    """A directory, read when asked. Nothing is followed out of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()

    def text(self, path: str) -> str:
        """What is in a file; '' when there is none, or nothing that people wrote."""
        place = self.directory / path
        try:
            if not place.resolve().is_relative_to(self.directory) or place.stat().st_size > _LARGEST:
                return ""
            return place.read_text(encoding="utf-8-sig", errors="replace")
        except (OSError, ValueError):
            return ""

    def names(self, pattern: str) -> tuple[str, ...]:
        """What matches a pattern, sorted."""
        if "**" in pattern:
            wanted = _expression(pattern)
            return tuple(each for each in self._all if wanted.fullmatch(each))
        if not pattern or pattern.startswith("/") or ".." in pattern.split("/"):
            return ()
        found = self.directory.glob(pattern.replace("[", "[[]"))  # brackets are part of a name, as in `[id].js`
        return tuple(sorted(each.relative_to(self.directory).as_posix() for each in found))

    @cached_property
    def _all(self) -> tuple[str, ...]:
        return tuple(sorted(self._walk()))

    def _walk(self) -> Iterator[str]:
        for folder, inside, files in os.walk(self.directory):
            inside[:] = [each for each in inside if self._is_own(Path(folder, each))]
            above = Path(folder).relative_to(self.directory)
            yield from ((above / each).as_posix() for each in (*inside, *files))

    @staticmethod
    def _is_own(directory: Path) -> bool:
        is_skipped = directory.name in SKIPPED or directory.name.startswith(".")
        return not is_skipped and not (directory / "pyvenv.cfg").exists()


def _expression(pattern: str) -> re.Pattern[str]:
    """A pattern as a regular expression for whole paths."""
    words = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*|\?)", pattern)
    return re.compile("".join(words.get(each, re.escape(each)) for each in parts))
