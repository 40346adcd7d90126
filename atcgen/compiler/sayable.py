"""Rules about values that stand in atc.yml well, and that nginx, supervisord or the kernel could not carry."""

from __future__ import annotations

import re
from collections.abc import Iterator

from atcgen.compiler import interpolate
from atcgen.compiler.plan import Host
from atcgen.compiler.quoting import Unrepresentable, ini_command_word, nginx_word
from atcgen.compiler.schema import App, Config
from atcgen.compiler.source import Document, Path
from atcgen.diagnostics import Code, Diagnostic

# A word of nginx's configuration has room for 4095 bytes, and some hold two of these behind each other.
_LONGEST_PATH = 800
# Below it are the sockets; supervisord adds a dot and a process id to the name of its own while it binds it.
_LONGEST_STATE = 107 - len("/run/supervisor.sock.4194304")
_PATTERN = re.compile(r"[*?\[%]")  # nginx and supervisord look for files by them, supervisord expands some values twice
_UNIX_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def app_levels(config: Config) -> Iterator[tuple[App, Path]]:
    """Every `app` section, and where it is written."""
    yield config.app, ("app",)
    for user, section in config.users.items():
        yield section.app, ("users", user, "app")
        for path, tenant in section.tenants.items():
            yield tenant.app, ("users", user, "tenants", path, "app")
    for index, route in enumerate(config.routes):
        yield route.app, ("routes", index, "app")


def check_sayable(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    """Everything that could be written down and not be carried out."""
    yield from _paths(document, config, host)
    yield from _machine(document, host)
    yield from _commands(document, config)
    yield from _unix_users(document, config, host)


def _paths(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    expanded: list[tuple[str, Path]] = [
        (config.server.bad_gateway_page, ("server", "bad_gateway_page")),
        (config.server.index, ("server", "index")),
        *((page, ("server", "error_pages", status)) for status, page in config.server.error_pages.items()),
        (config.storage.volume, ("storage", "volume")),
        (config.storage.replica or "", ("storage", "replica")),
    ]
    plain: list[tuple[str, Path]] = []
    for app, origin in app_levels(config):
        expanded.append((app.root, (*origin, "root")))
        expanded += [(each.dir, (*origin, "static", path, "dir")) for path, each in app.static.items()]
    for text, origin in expanded:
        known = interpolate.expand_environment(text, host.environ)
        if known is not None:
            plain.append((known, origin))
        elif origin not in document.values:  # it comes from the environment, where nobody has looked at its variables
            plain.append((text, origin))
    for text, origin in plain:
        try:
            if len(nginx_word(text)) > _LONGEST_PATH:
                said = f"{text[:40]!r}... is longer than {_LONGEST_PATH} characters"
                yield Diagnostic(document.value_at(origin), said, Code.OUT_OF_RANGE)
        except Unrepresentable as problem:
            yield Diagnostic(document.value_at(origin), str(problem), Code.UNREPRESENTABLE)


def _machine(document: Document, host: Host) -> Iterator[Diagnostic]:
    """The directories that atc was started in stand in every file."""
    for name, path in (("the directory of the file", host.base), ("the state directory", host.state)):
        try:
            nginx_word(path)
            ini_command_word(path)
        except Unrepresentable as problem:
            yield Diagnostic(document.at(()), f"{name}: {problem}", Code.UNREPRESENTABLE)
    if _PATTERN.search(host.state):
        said = f"the state directory: {host.state!r} holds '*', '?', '[' or '%', which would be read as a pattern"
        yield Diagnostic(document.at(()), said, Code.UNREPRESENTABLE)
    if len(host.base) > _LONGEST_PATH:
        said = f"the directory of the file: {host.base[:40]!r}... is longer than {_LONGEST_PATH} characters"
        yield Diagnostic(document.at(()), said, Code.OUT_OF_RANGE)
    if len(host.state.encode(errors="surrogateescape")) > _LONGEST_STATE:
        said = f"the state directory: {host.state[:40]!r}... has to hold unix sockets, whose names must be short"
        hint = f"name one of at most {_LONGEST_STATE} bytes with --state"
        yield Diagnostic(document.at(()), said, Code.OUT_OF_RANGE, hint=hint)


def _commands(document: Document, config: Config) -> Iterator[Diagnostic]:
    for app, origin in app_levels(config):
        for key in ("start", "prepare", "build"):
            text = getattr(app, key)
            where = document.value_at((*origin, key))
            if "\n" in text.strip():
                yield Diagnostic(where, f"{key} must be one line", Code.BAD_VALUE, hint="put a script in a file")
            if text and not text.strip():
                yield Diagnostic(where, f"{key} must be a command", Code.BAD_VALUE)
    for level in ("server", "tenant"):
        for event, hooks in getattr(config.hooks, level):
            for index, hook in enumerate(hooks):
                if not hook.run.strip():
                    where = document.value_at(("hooks", level, event, index))
                    yield Diagnostic(where, f"hooks.{level}.{event}: must be a command", Code.BAD_VALUE)


def _unix_users(document: Document, config: Config, host: Host) -> Iterator[Diagnostic]:
    written: list[tuple[str | None, Path]] = [(config.server.user, ("server", "user"))]
    written += [(app.user, (*origin, "user")) for app, origin in app_levels(config)]
    for name, origin in written:
        if name is None:
            continue
        where = document.value_at(origin)
        if not _UNIX_USER.match(name):
            yield Diagnostic(where, f"'{name}' must be the name of a unix user", Code.BAD_NAME)
        elif host.unix_users and name not in host.unix_users:
            yield Diagnostic(where, f"this machine has no user '{name}'", Code.BAD_VALUE)
        elif not host.is_root and name != host.user:
            yield Diagnostic(where, f"only root can run something as '{name}'", Code.BAD_VALUE)
