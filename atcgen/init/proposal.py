"""What `atc init` would write: each file as it is and as it should be."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from atcgen.compiler.names import ROOT
from atcgen.init.building import build_in_image, path_of_assets
from atcgen.init.docker import with_atc
from atcgen.init.ignored import DATA, with_ignored
from atcgen.init.survey import PLACES, Survey
from atcgen.init.written import Wanted, with_users, written
from atcgen.platforms.platform import Tree

FRESH = "config/atc.yml"


@dataclass(frozen=True)
class Change:
    """A file: its text, or None where there is none, and its text to be."""

    path: str
    before: str | None
    after: str

    def diff(self) -> str:
        """The change as text."""
        old = f"a/{self.path}" if self.before is not None else "/dev/null"
        lines = difflib.unified_diff(
            (self.before or "").splitlines(), self.after.splitlines(), old, f"b/{self.path}", lineterm=""
        )
        return "\n".join(lines)

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.path}"
        pairs = list(difflib.ndiff(self.before.splitlines(), self.after.splitlines()))
        added, removed = (sum(line.startswith(sign) for line in pairs) for sign in ("+ ", "- "))
        return f"~ {self.path}: {added} lines added" + (f", {removed} removed" if removed else "")


@dataclass(frozen=True)
class Proposal:
    """Everything that would be written, and what there is to say about it."""

    file: str  # atc.yml, relative to the application
    changes: tuple[Change, ...]
    says: tuple[str, ...]


def propose(tree: Tree, found: Survey, wanted: Wanted, *, replaces: bool = False) -> Proposal:
    """The files for an application. An atc.yml that is there stays, unless `replaces`; users may be added to it."""
    file = next((each for each in PLACES if tree.text(each)), FRESH)
    before = tree.text(file) or None
    image = tree.text("Dockerfile")
    build = build_in_image(tree, found.platform.name, file)
    fresh = written(found, wanted, is_inside="/" in file)
    says: list[str] = []
    if build and image and path_of_assets(file) not in image:
        says.append(f"in Dockerfile, compile assets so that stylesheets find their images: {build}")
    if before is None or replaces:
        text = fresh
    else:
        text = with_users(before, wanted) if wanted.tenants else before
        if text != before and tree.names(f"{DATA}/{ROOT}"):
            says.append(f"what the tenant at / has stays in {DATA}/{ROOT}; as {DATA}/USER.PATH it is another tenant's")
        if found.is_told and text == before != fresh:
            says.append(f"{file} is there already and stays as it is; --replace writes it anew")
    docker, said = with_atc(tree, found.platform.name, file)
    if said:
        says.append(said)
    all_of_them = {file: text, "Dockerfile": docker, **with_ignored(tree, file)}
    changes = []
    for path, after in all_of_them.items():
        known = tree.text(path) if tree.names(path) else None
        if after and after != known:
            changes.append(Change(path, known, after))
    return Proposal(file, tuple(changes), tuple(says))
