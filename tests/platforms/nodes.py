"""What the tests of platforms on Node share: the examples, as their atc.yml has them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.platforms.harness import Subject
from tests.platforms.live import Live

_EXAMPLES = Path(__file__).parents[2] / "examples"


def missing(platform: str) -> str:
    """Why the example of a platform cannot run here; '' when it can."""
    if not shutil.which("node"):
        return "node is not installed"
    if not (_EXAMPLES / f"calendar-{platform}/node_modules/.installed").exists():
        return f"its packages are missing: run make calendar-{platform}"
    return ""


def directory(platform: str) -> Path:
    """The example of a platform."""
    return _EXAMPLES / f"calendar-{platform}"


def calendar(platform: str) -> Subject:
    """It knows of no prefix; it says `/events/new`, `/live` and `url(/icon.svg)`."""
    app: dict[str, Any] = yaml.safe_load((directory(platform) / "atc.yml").read_text())["app"]
    app |= {"root": str(directory(platform))}
    return Subject(f"{platform}, examples/calendar-{platform}", app, Live("websocket", "/live"), sign_in="/sign-in")
