"""How applications in Python are known, and the reasons they are given when something is missing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import atcgen.platforms
from atcgen.platforms import detected
from atcgen.platforms.requirements import required
from tests.platforms.trees import Texts

_SHIMS = Path(atcgen.platforms.__file__).parent / "shims/python"
_MANAGE = 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")'
_SETTINGS = """
DATABASES = {
    "audit": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "data" / "audit.sqlite3"},
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "main.sqlite3"},
    "far": {"ENGINE": "django.db.backends.postgresql", "NAME": "calendar"},
}
"""


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("requirements.txt", "Flask==3.1.3\nflask-wtf", "flask 3.1.3 in requirements.txt"),
        ("requirements.txt", "flask-wtf==1\n# flask\nnoflask", ""),
        ("requirements/base.txt", "flask[async]>=2", "flask 2 in requirements/base.txt"),
        ("pyproject.toml", 'dependencies = [\n    "flask>=3.0",\n]', "flask 3.0 in pyproject.toml"),
        ("pyproject.toml", 'flask = "^3.0"', "flask in pyproject.toml"),
        ("uv.lock", '[[package]]\nname = "flask"\nversion = "3.1"', "flask 3.1 in uv.lock"),
    ],
)
def test_what_an_application_asks_for(file: str, text: str, said: str) -> None:
    """By the files in which people say it."""
    assert required(Texts({file: text}), "flask") == said


def test_a_django_project() -> None:
    """Its databases, the default one first, and who is missing."""
    tree = Texts(
        {
            "manage.py": _MANAGE,
            "mysite/settings.py": _SETTINGS,
            "mysite/urls.py": 'path("healthz/", well)',
            "main.sqlite3": "",
            "requirements.txt": "django==5.2\nflask",
        }
    )
    (platform, found), *_ = detected(tree)

    assert (platform.name, found.because) == ("django", "django 5.2 in requirements.txt")
    assert found.app == {"databases": ["main.sqlite3", "audit.sqlite3"], "health": "/healthz/"}
    assert found.databases == ("main.sqlite3",)
    assert "gunicorn" in found.says[0]


def test_a_flask_application() -> None:
    """Its health, its files, and a database that all tenants would share."""
    source = '@app.route("/health")\ndef f(): ...\nURI = "sqlite:///calendar.db"'
    files = {"static/a.css": "", "instance/calendar.db": ""}
    tree = Texts({"requirements.txt": "flask\ngunicorn", "app.py": source, **files})
    (platform, found), *_ = detected(tree)

    assert (platform.name, found.says, found.databases) == ("flask", (), ("instance/calendar.db",))
    assert found.app == {
        "health": "/health",
        "static": {"static": "static"},
        "private": ["instance"],
        "databases": ["instance/calendar.db"],
    }


def test_a_fastapi_application() -> None:
    """Its WebSocket, and the driver that it uses."""
    source = '@app.get("/up")\n@app.websocket("/ws")\nos.environ["DATABASE_URL"]'
    tree = Texts({"requirements.txt": "fastapi\nuvicorn\naiosqlite", "app/main.py": source})
    (platform, found), *_ = detected(tree)

    assert platform.name == "fastapi"
    assert found.app == {
        "health": "/up",
        "websocket": "ws",
        "env": {"DATABASE_URL": "sqlite+aiosqlite:///${database}"},
    }


def test_no_application_is_known_by_nothing() -> None:
    """Nor by files that look alike."""
    assert detected(Texts({"manage.py": "print()", "requirements.txt": "requests"})) == []


def _run(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=here, capture_output=True, text=True, check=False)


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    """With the environment where it is not."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    python = tmp_path / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "own python"\n')
    python.chmod(0o755)

    found = _run(tmp_path, "sh", str(_SHIMS / "venv.sh"), "python")
    missing = _run(tmp_path, "sh", str(_SHIMS / "venv.sh"), "no-such-gunicorn")

    assert found.stdout == "own python\n"
    assert (missing.returncode, missing.stdout) == (127, "")
    assert missing.stderr == f"no-such-gunicorn is not installed in {tmp_path}/.venv, nor elsewhere in the PATH\n"


@pytest.mark.parametrize(("framework", "server"), [("flask", "gunicorn"), ("fastapi", "uvicorn")])
def test_a_missing_server_is_named(framework: str, server: str, tmp_path: Path) -> None:
    """An environment of Python alone."""
    said = _run(tmp_path, "python3", "-S", "-I", str(_SHIMS / "atc_serve.py"), framework, "sock")
    assert said.returncode == 1
    assert said.stderr.startswith(f"{server} is missing: add it to the application's requirements")
