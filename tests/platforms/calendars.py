"""The calendars of the examples in every framework, as subjects of the harness."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.platforms import nodes
from tests.platforms.harness import Subject
from tests.platforms.live import Live

NAMES = ("flask", "django", "rails", "prisma", "typeorm", "sequelize")
ORMS = ("prisma", "typeorm", "sequelize")  # of Node

_EXAMPLES = Path(__file__).parents[2] / "examples"
_DIRECTORIES = {name: _EXAMPLES / f"calendar-{name}" for name in NAMES} | {"flask": _EXAMPLES / "calendar"}
_INSTALLED = (".venv", "node_modules")
_WRITTEN = ("tmp", "log", "storage", "data", "Gemfile.lock", "*.sqlite3*", "staticfiles", "__pycache__")
_LIBRARIES = ("logger", "rails", "sprockets/railtie", "sqlite3", "puma")
_SUBSCRIBE = json.dumps({"command": "subscribe", "identifier": json.dumps({"channel": "CalendarChannel"})})
_CABLE = Live("websocket", "/cable", lambda _: (_SUBSCRIBE,), "confirm_subscription", ("actioncable-v1-json",))


def missing(platform: str) -> str:
    """Why the calendar of a platform cannot run here; '' when it can."""
    if platform == "rails":
        return rails_missing()
    if platform in ORMS:
        return nodes.missing(platform)
    environment = _DIRECTORIES[platform] / ".venv"
    return "" if environment.is_dir() else f"{environment.relative_to(_EXAMPLES.parent)} is missing: run make install"


def rails_missing() -> str:
    """Why nothing of Rails can run here; '' when it can."""
    if not shutil.which("bundle"):
        return "ruby or bundler is missing: run make calendar-rails"
    said = subprocess.run(
        ["ruby", *(f"-r{each}" for each in _LIBRARIES), "-e", "1"], capture_output=True, text=True, check=False
    )
    return f"Rails is missing: run make calendar-rails ({said.stderr[:200]})" if said.returncode else ""


def copied(platform: str, home: Path) -> Path:
    """The example in a directory of its own below `home`, as it is without what a run makes, with what is installed."""
    example, root = _DIRECTORIES[platform], home / platform
    shutil.copytree(example, root, ignore=shutil.ignore_patterns(*_INSTALLED, *_WRITTEN))
    shutil.rmtree(root / "public/assets", ignore_errors=True)
    for each in _INSTALLED:
        if (example / each).is_dir():
            (root / each).symlink_to(example / each)
    if platform == "rails":
        subprocess.run(["bundle", "lock", "--local"], cwd=root, check=True, capture_output=True)
    return root


def subject(platform: str, home: Path) -> Subject:
    """A copy of the example, served as its atc.yml says."""
    file = _EXAMPLES / "atc.yml" if platform == "flask" else _DIRECTORIES[platform] / "atc.yml"
    app: dict[str, Any] = yaml.safe_load(file.read_text())["app"]
    app |= {"root": str(copied(platform, home))}
    name = f"{platform}, {_DIRECTORIES[platform].relative_to(_EXAMPLES.parent)}"
    live = Live("websocket", "/live") if platform in ORMS else Live("events", "/live")
    if platform == "rails":
        return Subject(name, app, _CABLE, sign_in="/session/new", writes=("public/assets/*", "tmp/cache/assets/*"))
    if platform == "django":
        return Subject(name, app, live, sign_in="/sign-in", token="cookie", writes=("staticfiles/*",))
    return Subject(name, app, live, sign_in="/sign-in")
