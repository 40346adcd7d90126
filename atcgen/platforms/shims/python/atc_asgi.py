"""`application` of a FastAPI or Starlette project: ASGI_APP, pyproject's [tool.fastapi], or found as people name it."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from atc_prefix import below_prefix

_FILES = ("main", "app", "api", "asgi", "server")
_PACKAGES = ("", "app.", "src.", "api.", "backend.", "backend.app.")
_NAMES = ("app", "api", "application")
_FACTORIES = ("create_app", "make_app", "get_app", "get_application")


def find() -> Any:
    """The application. Ends the process with a sentence when there is none."""
    named = os.environ.get("ASGI_APP") or _of_pyproject()
    if named:
        module, _, name = named.partition(":")
        return _within(import_module(module), name or "app")
    looked = []
    for module in _modules():
        looked.append(module)
        found = _of(import_module(module))
        if found is not None:
            return found
    where = f"not in {', '.join(looked)}" if looked else f"there is no {', '.join(f'{each}.py' for each in _FILES)}"
    sys.exit(f"no FastAPI or Starlette application was found: {where}; say it in ASGI_APP, such as package.main:app")


def _modules() -> list[str]:
    own = sorted(each.parent.name for each in Path().glob("*/main.py") if (each.parent / "__init__.py").exists())
    packages = [*_PACKAGES, *(f"{each}." for each in own if f"{each}." not in _PACKAGES)]
    files = (f"{package}{name}" for package in packages for name in _FILES)
    return [each for each in files if Path(*each.split(".")).with_suffix(".py").is_file()]


def _of(module: ModuleType) -> Any:
    from starlette.applications import Starlette

    named = [getattr(module, each, None) for each in _NAMES]
    found = [each for each in (*named, *vars(module).values()) if isinstance(each, Starlette)]
    if found:
        return found[0]
    factories = (getattr(module, each, None) for each in _FACTORIES)
    return next((each() for each in factories if callable(each)), None)


def _within(module: ModuleType, name: str) -> Any:
    found: Any = module
    for each in name.removesuffix("()").split("."):
        found = getattr(found, each)
    return found() if name.endswith("()") or getattr(found, "__name__", "") in _FACTORIES else found


def _of_pyproject() -> str:
    try:
        import tomllib

        said = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    except (ImportError, OSError, ValueError):
        return ""
    return str(said.get("tool", {}).get("fastapi", {}).get("entrypoint", ""))


application = below_prefix(find())
