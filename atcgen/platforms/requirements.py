"""What an application written in Python says of itself, in the files where such applications say it."""

from __future__ import annotations

import re

from atcgen.platforms.platform import Tree

_FILES = ("requirements.txt", "pyproject.toml", "Pipfile", "setup.cfg", "setup.py")
_LOCKS = ("uv.lock", "poetry.lock")
_HEALTHY = r"up|health|healthz|health[-_]check|livez|readyz|ping"

RUN = "sh ${shims}/python/venv.sh"
SERVE = RUN + " python ${shims}/python/atc_serve.py"

# What applications commonly read, and may ignore.
ENV = {
    "SCRIPT_NAME": "${tenant.path}",
    "SECRET_KEY": "${secret}",
    "DATABASE_PATH": "${database}",
    "DATABASE_URL": "sqlite:///${database}",
    "PYTHONUNBUFFERED": "1",
}


def required(tree: Tree, package: str) -> str:
    """`flask 3.1.3 in requirements.txt`, or without the version where none is said; '' when nothing asks for it."""
    name = re.escape(package)
    for file in (*_FILES, *tree.names("requirements/*.txt"), *tree.names("requirements*.txt")):
        text = tree.text(file)
        found = re.search(rf"""(?im)^[\s"'\[,]*{name}(?:\[[^\]]*\])?(?![\w.-])\s*(?:[=~>]=\s*([\w.]+))?""", text)
        if found:
            return f"{package} {found[1]} in {file}" if found[1] else f"{package} in {file}"
    for file in _LOCKS:
        found = re.search(rf'(?im)^name = "{name}"\nversion = "([^"]+)"', tree.text(file))
        if found:
            return f"{package} {found[1]} in {file}"
    return ""


def health(sources: str, declares: str) -> str:
    """The path that an application answers to who asks whether it is well; '' for none.

    `declares` is the pattern of what comes before the path, such as `path\\(`.
    """
    found = re.search(rf"""{declares}\s*["']/?({_HEALTHY})(/?)["']""", sources)
    return f"/{found[1]}{found[2]}" if found else ""


def sources(tree: Tree, *patterns: str) -> str:
    """The text of all files that match."""
    return "\n".join(tree.text(file) for pattern in patterns for file in tree.names(pattern))


def literal_databases(text: str) -> tuple[str, ...]:
    """The SQLite files that source code names by itself, such as `sqlite:///./calendar.db`, relative to somewhere."""
    found = re.findall(r"""["']sqlite(?:\+\w+)?:///(?!/)(?:\./)?([\w./-]+\.\w+)["']""", text)
    return tuple(dict.fromkeys(found))
