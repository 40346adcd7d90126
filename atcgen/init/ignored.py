"""What git and Docker are to leave alone: the tenants' data, and atc's own state with its secret."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from atcgen.platforms.platform import Tree

DATA = "data"


def with_ignored(tree: Tree, file: str) -> Mapping[str, str]:
    """.gitignore where there is a repository, and .dockerignore: with the lines that they lack."""
    state = posixpath.join("/", posixpath.dirname(file), ".atc/")
    found = {".dockerignore": _with_lines(tree.text(".dockerignore"), (f"{state[1:]}", f"{DATA}/"))}
    if tree.names(".git") or tree.names(".gitignore"):
        found[".gitignore"] = _with_lines(tree.text(".gitignore"), (state, f"/{DATA}/"))
    return found


def _with_lines(text: str, wanted: tuple[str, ...]) -> str:
    known = {line.strip().strip("/") for line in text.splitlines()}
    missing = [each for each in wanted if each.strip("/") not in known]
    if not missing:
        return text
    head = f"{text.rstrip()}\n\n" if text.strip() else ""
    return head + "\n".join(["# Data of tenants, and the state of atc.", *missing]) + "\n"
