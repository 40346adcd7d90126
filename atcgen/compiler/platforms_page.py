"""The page about platforms, made from them: how each is known, and what it says of `app`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from atcgen.platforms import PLATFORMS
from atcgen.platforms.platform import Platform

_MADE = "<!-- Made by `make docs`; do not edit. -->"
_INTRODUCTION = """\
`app.platform` names the framework of an application, and says every key of `app` that atc.yml does not say. `atc init`
finds out which it is; [init.md](init.md) is about that. What is below can be overridden key by key, and `env` by name.
"""


def platforms_page() -> str:
    """A table of all, and what each says."""
    known = [each for each in PLATFORMS.values() if each.app]
    lines = ["# Platforms", "", _MADE, "", *_INTRODUCTION.splitlines(), ""]
    lines += ["| platform | for | is known by | prepares with | runs |", "|---|---|---|---|---|"]
    lines += [_row(each) for each in known]
    lines.append("")
    for each in known:
        lines += [f"## {each.name}", "", *_preset(each)]
    return "\n".join(lines)


def _row(platform: Platform) -> str:
    how = (platform.detect.__doc__ or "").strip().split("\n")[0]
    said = [f"`{platform.app[key]}`" if platform.app.get(key) else "" for key in ("prepare", "start")]
    cells = (f"[`{platform.name}`](#{platform.name})", platform.title, how, *said)
    return f"| {' | '.join(each.replace('|', chr(92) + '|') for each in cells)} |"


def _preset(platform: Platform) -> Iterator[str]:
    text = yaml.safe_dump(
        {"app": {"platform": platform.name, **_plain(platform.app)}}, sort_keys=False, allow_unicode=True, width=10_000
    )
    yield from ("```yaml", *text.splitlines(), "```", "")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, (list, tuple)) else value
