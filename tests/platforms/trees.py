"""The files of an application as texts, for tests of `Platform.detect`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Texts:
    """A `platforms.Tree` of texts by path; directories are those that hold something."""

    files: Mapping[str, str]

    def text(self, path: str) -> str:
        """What is in a file; '' when there is none of that name."""
        return self.files.get(path, "")

    def names(self, pattern: str) -> tuple[str, ...]:
        """What matches a pattern, sorted."""
        words = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
        wanted = re.compile("".join(words.get(each, re.escape(each)) for each in re.split(r"(\*\*/|\*|\?)", pattern)))
        above = {str(each) for name in self.files for each in PurePosixPath(name).parents} - {"."}
        return tuple(sorted(each for each in {*self.files, *above} if wanted.fullmatch(each)))
