"""Go: a program of one module, built once, on a TCP port."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from atcgen.platforms.platform import Detected, Platform, Tree

APP: Mapping[str, Any] = {
    "prefix": "strip",  # unless it reads one, which its sources show
    "build": "go build -o bin/server .",
    "start": "bin/server",
    "env": {
        "PORT": "${port}",
        "DATABASE_PATH": "${database}",
        "DATABASE_URL": "file:${database}",
        "SESSION_SECRET": "${secret}",
    },
}
_VARIABLE = re.compile(r'os\.(?:Getenv|LookupEnv)\("([A-Z][A-Z0-9_]*)"\)')
_PREFIXES = ("BASE_PATH", "ROOT_PATH", "URL_PREFIX", "PATH_PREFIX", "MOUNT_PATH")
_ADDRESSES = ("ADDR", "LISTEN", "LISTEN_ADDR", "HTTP_ADDR", "BIND", "BIND_ADDR")
_MAIN = re.compile(r"^package main$", re.MULTILINE)


def _detect(tree: Tree) -> Detected | None:
    """A go.mod, and a program in the same directory or alone in one below cmd/."""
    module = re.search(r"^go (\S+)$", tree.text("go.mod"), re.MULTILINE)
    programs = [each for each in ("", *tree.names("cmd/*")) if _is_program(tree, each)]
    if not tree.text("go.mod") or not programs:
        return None
    app: dict[str, Any] = {"build": f"go build -o bin/server ./{programs[0]}"} if programs[0] else {}
    sources = [tree.text(each) for each in tree.names("**/*.go") if not each.endswith("_test.go")]
    variables = {name for text in sources for name in _VARIABLE.findall(text)}
    env = {name: "${tenant.path}" for name in _PREFIXES if name in variables}
    if env:
        app["prefix"] = "keep"
    env |= {name: "127.0.0.1:${port}" for name in _ADDRESSES if name in variables}
    if env:
        app["env"] = env
    is_told = "PORT" in variables or any(name in variables for name in _ADDRESSES)
    says = () if is_told else ("its sources do not read PORT: make it listen there, or say in `start` where to.",)
    return Detected(f"go {module[1]} in go.mod" if module else "go.mod", app, 1, (), says)


def _is_program(tree: Tree, directory: str) -> bool:
    files = tree.names(f"{directory}/*.go" if directory else "*.go")
    return any(_MAIN.search(tree.text(each)) for each in files)


PLATFORM = Platform("go", "Go", APP, _detect)
