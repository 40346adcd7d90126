"""The directories that tenants stay in while a release is rolled out: those atc.yml named before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Held:
    """Which tenants have not been moved to the directory that atc.yml names, and why that does not go on."""

    roots: Mapping[str, str] = field(default_factory=dict)  # tenant id -> its directory until its turn comes
    problem: str = ""


def read_held(state: Path) -> Held:
    """What was written last; nothing when that is missing or damaged."""
    try:
        said = json.loads(_file(state).read_text(encoding="utf-8"))
        return Held({str(name): str(root) for name, root in said["roots"].items()}, str(said["problem"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Held()


def write_held(state: Path, held: Held) -> None:
    """Write it down; it outlives the agent."""
    if held == Held():
        _file(state).unlink(missing_ok=True)
        return
    fresh = state / ".roots.json"
    fresh.write_text(json.dumps(asdict(held), indent=1), encoding="utf-8")
    fresh.replace(_file(state))


def _file(state: Path) -> Path:
    return state / "roots.json"
