"""What in an application will not survive a URL prefix: places in its files that name a path from the root of the host.

A search by lines, not a proof: helpers of frameworks (`link_to`, `url_for`, `{% url %}`) put the prefix in, and so does
nginx where it can: in redirects without a host and in cookies of the path '/'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from atcgen.init.prefix_rules import LINES, PUT_BACK, SCRIPTS, WHOLE, Line
from atcgen.platforms.platform import Tree

_TAG = 8  # lines that a tag may go over
_LONGEST = 1000  # what has longer lines was not written by people
_NOT_OWN = re.compile(
    r"(?:^|/)(?:tests?|spec|specs|__tests__|__mocks__|cypress|e2e|fixtures|docs?|migrations|migrate)/"
    r"|(?:^|/)public/(?:assets|packs|packs-test|build|vite|vite-dev|dist)/"
    r"|(?:^|/)atc/"
    r"|(?:^|/)(?:test_|conftest)[^/]*$|[._-](?:test|spec|min|bundle|stories)\.[a-z]+$"
    r"|\.(?:config|d)\.[cm]?[jt]s$|(?:^|/)(?:[Gg]runt|[Gg]ulp)file\.[a-z]+$"
)
_HASH = {".rb", ".py", ".ru", ".haml", ".slim", ".yml", ".yaml", ".rake"}
_COMMENT = re.compile(r"\s*(?://|/?\*|<!--|<%#|\{#|\{\{!|<%--|-#|-# )")
_COMMENTS = re.compile(
    r"<!--(?!#).*?-->|<%#.*?%>|<%--.*?--%>|\{#.*?#\}|\{\{!.*?\}\}"
    r"|\{% comment %\}.*?\{% endcomment %\}|(?<![\w*])/\*.*?\*/",
    re.DOTALL,
)
_HASH_COMMENT = re.compile(r"\s*(?:#|-#|/(?!\w))")


@dataclass(frozen=True, order=True)
class Finding:
    """A place that names a path from the root of the host."""

    file: str
    line: int
    column: int
    kind: str
    text: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.kind}: {self.text}"


def findings(tree: Tree, platform: str, *, strips: bool = False) -> list[Finding]:
    """Everything that is found in the application's own files, in their order.

    `strips`: with `app.prefix: strip`, where nginx and a script of atc's put the prefix back into pages.
    """
    rules = [each for each in LINES if not each.platforms or platform in each.platforms]
    rules = [each for each in rules if not (strips and each.kind in PUT_BACK)]
    suffixes = sorted({suffix for each in rules for suffix in each.suffixes})
    files = sorted({name for suffix in suffixes for name in tree.names(f"**/*{suffix}") if not _NOT_OWN.search(name)})
    found = {each for name in files for each in _in_file(name, tree.text(name), rules)}
    whole = (each for each in WHOLE if not each.platforms or platform in each.platforms)
    for rule in whole:
        said = rule.look(tree)
        if said and not (strips and rule.kind in PUT_BACK):
            name, text = said
            found.add(Finding(name, 1, 1, rule.kind, text, rule.hint))
    return sorted(found)


def _in_file(name: str, text: str, rules: Iterable[Line]) -> Iterator[Finding]:
    suffix = "." + name.rpartition(".")[2]
    used = [each for each in rules if suffix in each.suffixes and (not each.names or re.search(each.names, name))]
    lines = _blanked(text, suffix).splitlines()
    for number, line in enumerate(lines, start=1):
        if len(line) > _LONGEST or _is_comment(line, suffix):
            continue
        above = "\n".join(lines[max(0, number - _TAG) : number - 1])
        seen: set[int] = set()
        for rule in used:
            for match in rule.pattern.finditer(line):
                if match.end() not in seen and rule.fits(f"{above}\n{line[: match.start()]}"):
                    seen.add(match.end())
                    yield Finding(name, number, match.start() + 1, rule.kind, _shown(line, match), rule.hint)


def _blanked(text: str, suffix: str) -> str:
    """A page or a stylesheet with its comments as spaces; in scripts, `/*` may be part of a word."""
    if suffix in SCRIPTS or suffix in _HASH:
        return text
    return _COMMENTS.sub(lambda each: re.sub(r"[^\n]", " ", each[0]), text)


def _is_comment(line: str, suffix: str) -> bool:
    return bool(_COMMENT.match(line) or (suffix in _HASH and _HASH_COMMENT.match(line)))


def _shown(line: str, match: re.Match[str]) -> str:
    """The match, with the rest of the path that it begins."""
    rest = re.match(r"[^\s\"'`)>]*[\"'`)]?", line[match.end() :])
    text = line[match.start() : match.end()] + (rest[0] if rest else "")
    return " ".join(text.split())[:100]


def sentences(found: Iterable[Finding]) -> list[str]:
    """The places as lines, each kind with what helps, once."""
    said: set[str] = set()
    lines = []
    for each in found:
        lines.append(str(each))
        if each.hint not in said:
            said.add(each.hint)
            lines.append(f"    hint: {each.hint}")
    return lines
