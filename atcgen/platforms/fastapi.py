"""FastAPI and Starlette: uvicorn on a unix socket, with the prefix as ASGI's root_path."""

from __future__ import annotations

import re
from typing import Any

from atcgen.platforms.platform import Detected, Platform, Tree
from atcgen.platforms.requirements import ENV, RUN, SERVE, health, literal_databases, required, sources

APP: dict[str, Any] = {
    "prepare": f"{RUN} python ${{shims}}/python/atc_prepare.py",
    "start": f"{SERVE} fastapi ${{socket}}",
    "env": {**ENV, "ROOT_PATH": "${tenant.path}"},
}


def _detect(tree: Tree) -> Detected | None:
    """An application that asks for FastAPI or Starlette."""
    because = required(tree, "fastapi") or required(tree, "starlette")
    if not because:
        return None
    text = sources(tree, "*.py", "*/*.py", "*/*/*.py")
    app: dict[str, Any] = {}
    path = health(text, r"\.(?:get|route|api_route)\(") or health(text, r"\bRoute\(")
    if path:
        app["health"] = path
    socket = re.search(r"""\.websocket\(\s*["']/([\w/-]+)["']""", text)
    if socket:
        app["websocket"] = socket[1]
    if required(tree, "aiosqlite"):
        app["env"] = {"DATABASE_URL": "sqlite+aiosqlite:///${database}"}
    literal = literal_databases(text)
    if literal and "DATABASE_URL" not in text:
        app |= {"private": list(literal), "databases": list(literal)}
    says = () if required(tree, "uvicorn") else ("add uvicorn to the application's requirements: it serves tenants",)
    return Detected(because, app, databases=tuple(each for each in literal if each in tree.names(each)), says=says)


PLATFORM = Platform("fastapi", "FastAPI", APP, _detect)
