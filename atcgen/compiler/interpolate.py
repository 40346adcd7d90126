"""`${...}` in values of atc.yml: which names there are, which a text uses, and putting their values in.

`$${` is a literal `${`. The socket of a process is known only when it starts (two of them may overlap during a
restart), so `${socket}` becomes `SOCKET_MARK` here, and the launch script puts the path in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# No value may hold a NUL, so the mark cannot be confused with anything an owner writes.
SOCKET_MARK = "\0socket\0"
# The same for the directory of the application where it is another one for every tenant: the script says which.
ROOT_MARK = "\0root\0"

VARIABLES: Mapping[str, str] = {
    "tenant.name": "what people call the tenant",
    "tenant.path": "its URL prefix without a slash at the end, such as /bellevue/2025/winter; empty at the root",
    "tenant.id": "its path as the command line names it, such as bellevue/2025/winter",
    "tenant.dir": "the directory that holds its data",
    "tenant.host": "its host, when it has one",
    "user.name": "what people call the customer",
    "user.id": "the first segment of the customer's URLs",
    "user.region": "the region of the tenant's machine",
    "database": "the path of its first database",
    "secret": "a secret of its own, the same at every start",
    "socket": "the unix socket it has to listen on",
    "port": "the TCP port it has to listen on",
    "app.root": "the directory of the application",
    "app.path": "the URL prefix below which its `shared` static directories are, such as /_atc/static/calendar",
    "shims": "the directory of what atc adds to frameworks",
}

# Those that are the same for all tenants of an application.
OF_APPLICATIONS = ("app.root", "app.path", "shims")

_PATTERN = re.compile(r"\$\$\{|\$\{([^}]*)\}")
_SHELL = re.compile(r"""\$\$\{|\$\{(?P<name>[^}]*)\}|\\.|['"]""")
_REFERENCES = {"": '"${%d}"', '"': "${%d}", "'": "'\"${%d}\"'"}
_ENVIRONMENT = re.compile(r"ENV:([A-Za-z_][A-Za-z0-9_]*)\Z")


def names(text: str) -> list[str]:
    """The names a text refers to, in order."""
    return [found[1] for found in _PATTERN.finditer(text) if found[1] is not None]


def is_unclosed(text: str) -> bool:
    """Does a `${` lack its end?"""
    return "${" in _PATTERN.sub("", text)


def environment_name(name: str) -> str | None:
    """NAME for `ENV:NAME`, or None for any other name."""
    found = _ENVIRONMENT.match(name)
    return found[1] if found else None


def mentions(text: str, name: str) -> bool:
    """Does the text refer to the name?"""
    return name in names(text)


def expand(text: str, values: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Put the values in. Every name must be known: the checks have seen to that."""
    return _PATTERN.sub(lambda found: "${" if found[1] is None else _value(found[1], values, environ), text)


def expand_environment(text: str, environ: Mapping[str, str]) -> str | None:
    """Put in what the environment says; None when the text names anything else."""
    known = all(environment_name(each) in environ for each in names(text))
    return expand(text, {}, environ) if known else None


def expand_for_shell(
    command: str, values: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """A command for `sh -c` and its positional parameters.

    A value is never part of what the shell reads, so whatever it holds is not run; it is one word inside and outside
    of quotes.
    """
    parameters: list[str] = []
    quote = ""

    def piece(found: re.Match[str]) -> str:
        nonlocal quote
        if found["name"] is not None:
            parameters.append(_value(found["name"], values, environ))
            return _REFERENCES[quote] % len(parameters)
        if found[0] == "$${":
            return "${"
        mark = found[0][-1] if quote == "'" else found[0]  # a backslash means nothing in single quotes
        if mark in (quote or "'", quote or '"'):
            quote = "" if quote else mark
        return found[0]

    return _SHELL.sub(piece, command), tuple(parameters)


def _value(name: str, values: Mapping[str, str], environ: Mapping[str, str]) -> str:
    variable = environment_name(name)
    return environ[variable] if variable else values[name]
