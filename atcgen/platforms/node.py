"""Node: a server of package.json's `start` script, on a unix socket that it takes for its port.

What is said here of an application's package and sources also serves the platforms that build on Node.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from atcgen.platforms.platform import Detected, Platform, Tree

APP: Mapping[str, Any] = {
    "prefix": "strip",  # unless it reads one, which its sources show
    "build": "test -d node_modules || npm ci --include=dev",
    "start": "node server.js",
    "env": {
        "NODE_ENV": "production",
        "PORT": "${socket}",  # `listen` takes a path as well as a number
        "DATABASE_PATH": "${database}",
        "DATABASE_URL": "file:${database}",
        "SESSION_SECRET": "${secret}",
    },
}
GENERATES = "prisma generate"  # a build that the platform for Prisma does anyway
_FRAMEWORKS = ("express", "fastify", "koa", "@nestjs/core", "hono", "@hapi/hapi", "polka")
_ONLY_PORTS = ("fastify", "@hono/node-server", "@hapi/hapi")  # they are told a port by name, which cannot be a path
# What installs the packages that each of these files locks; npm's is the preset's.
_LOCKS = {"pnpm-lock.yaml": "pnpm install --frozen-lockfile", "yarn.lock": "yarn install --frozen-lockfile"}
_STARTS = ("start:prod", "start:production", "start")
_MAINS = ("server.js", "server.mjs", "app.js", "index.js", "src/server.js", "src/index.js", "src/app.js")
_PREFIXES = ("BASE_PATH", "APP_BASE_PATH", "ROOT_PATH", "MOUNT_PATH", "URL_PREFIX", "PATH_PREFIX", "SCRIPT_NAME")
_SECRETS = re.compile(r"(?:SESSION|COOKIE|APP|JWT|AUTH|CSRF|TOKEN)_(?:SECRET|KEY)|SECRET|SECRET_KEY(?:_BASE)?")
_DATABASES = re.compile(r"(?:\w+_)?(?:DATABASE|DB|SQLITE)_(?:PATH|FILE|FILENAME|STORAGE|NAME|URL)|DATABASE|DB")
_NOT_SOURCES = re.compile(r"(?:^|/)(?:dist|build|out|public|static|coverage|tests?|__tests__)/|\.(?:min|test|spec)\.")
_MOST_SOURCES = 400

_VARIABLE = re.compile(r"""process\.env(?:\.|\[["'])([A-Z][A-Z0-9_]*)""")
_VARIABLES = re.compile(r"\{([^{}]*)\}\s*=\s*process\.env\b")
_NUMBER = re.compile(r"(?:\b(?:parseInt|Number)\s*\(|\+)\s*process\.env\.PORT|\bport\s*:[^,}\n]*process\.env\.PORT")
_HEALTH = re.compile(r"""\.(?:get|use|all)\(\s*["'`](/(?:up|healthz?|_health|livez|readyz|ping))["'`]""")
_STATIC = re.compile(r"""\.use\(\s*(?:["'`]/([\w-]+)/?["'`]\s*,\s*)?express\.static\([^)]*?["'`]\.?/?([\w/-]+)["'`]""")
_SOCKET = re.compile(r"""WebSocketServer\(\{[^}]*\bpath\s*:\s*["'`]/([\w/-]+)["'`]""")
_OPENED = re.compile(r"""(?:Database|DatabaseSync|BetterSqlite3)\(\s*["'`]([\w./-]+)["'`]""", re.IGNORECASE)
_SHELL = re.compile(r"[|&;<>()$`*?!\n]")


@dataclass(frozen=True)
class Package:
    """What package.json and the sources say."""

    dependencies: Mapping[str, str]
    scripts: Mapping[str, str]
    main: str
    sources: str
    variables: frozenset[str]  # of the environment, that the sources read

    def because(self, *names: str) -> str:
        """The first of some dependencies that it has, with its version, for people."""
        found = next((each for each in names if each in self.dependencies), "")
        return f"{found} {self.dependencies[found].lstrip('^~=v')} in package.json" if found else "package.json"

    def script(self, words: str) -> str:
        """The script that runs a command, which is known by some of its words; '' when there is none."""
        return next((each for each in self.scripts.values() if words in each and not _SHELL.search(each)), "")


def read_package(tree: Tree) -> Package | None:
    """The package, if there is one."""
    try:
        said = json.loads(tree.text("package.json"))
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    dependencies = {**_texts(said.get("devDependencies")), **_texts(said.get("dependencies"))}
    sources = "\n".join(tree.text(each) for each in _sources(tree))
    variables = set(_VARIABLE.findall(sources))
    for found in _VARIABLES.findall(sources):
        variables |= set(re.findall(r"[A-Z][A-Z0-9_]*", found))
    return Package(dependencies, _texts(said.get("scripts")), str(said.get("main", "")), sources, frozenset(variables))


def _texts(said: Any) -> dict[str, str]:
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}


def _sources(tree: Tree) -> Iterator[str]:
    every = (each for kind in ("js", "mjs", "cjs", "ts", "mts") for each in tree.names(f"**/*.{kind}"))
    yield from [each for each in every if not _NOT_SOURCES.search(each)][:_MOST_SOURCES]


def needed(tree: Tree, package: Package, url: str = "file:") -> dict[str, Any]:
    """The keys of `app` that the application needs besides the preset; `url` is what a database's URL begins with."""
    start, env = _start(tree, package)
    env |= _variables(package, url)
    app: dict[str, Any] = {"start": start} if start and start != APP["start"] else {}
    if build := _build(tree, package):
        app["build"] = build
    if any(each in package.variables for each in _PREFIXES):
        app["prefix"] = "keep"
    if health := _HEALTH.search(package.sources):
        app["health"] = health[1]
    if statics := _statics(tree, package):
        app["static"] = statics
    if socket := "socket.io" if "socket.io" in package.dependencies else _first(_SOCKET, package.sources):
        app["websocket"] = socket
    return app | ({"env": env} if env else {})


def says(package: Package) -> tuple[str, ...]:
    """What is left for the owner to do."""
    if "PORT" in package.variables:
        return ()
    return ("its sources do not read PORT: make it `listen(process.env.PORT)`, or say in `start` where to listen.",)


def _variables(package: Package, url: str) -> dict[str, str]:
    """Of the environment, by the names that the sources know them by; without those of the preset."""
    env = {each: "${tenant.path}" for each in _PREFIXES if each in package.variables}
    if _NUMBER.search(package.sources) or any(each in package.dependencies for each in _ONLY_PORTS):
        env["PORT"] = "${port}"
    for name in sorted(package.variables - set(APP["env"])):
        if _SECRETS.fullmatch(name):
            env[name] = "${secret}"
        elif _DATABASES.fullmatch(name):
            env[name] = f"{url}${{database}}" if name.endswith("URL") else "${database}"
    return env


def _build(tree: Tree, package: Package) -> str:
    """What installs and builds it, where that is not what the preset says."""
    install = next((f"test -d node_modules || {each}" for lock, each in _LOCKS.items() if tree.text(lock)), "")
    built = package.scripts.get("build", "")
    if not built or built == GENERATES:
        return install
    return f"({install or APP['build']}) && npm run build"


def _start(tree: Tree, package: Package) -> tuple[str, dict[str, str]]:
    """The command of the start script, without npm, which would not hand on signals; and its variables."""
    script = next((package.scripts[each] for each in _STARTS if package.scripts.get(each)), "")
    for _ in range(3):  # one script may run another
        if found := re.fullmatch(r"(?:npm|yarn|pnpm)\s+(?:run\s+)?([\w:-]+)", script.strip()):
            script = package.scripts.get(found[1], script)
    if not script:
        files = (package.main, *_MAINS)
        return next((f"node {each}" for each in files if each and tree.text(each)), ""), {}
    return command(script)


def command(script: str) -> tuple[str, dict[str, str]]:
    """A script of package.json as a command of atc.yml, with the variables that stand before it."""
    if _SHELL.search(script):
        return script.replace("${", "$${"), {}
    words, env = shlex.split(script), {}
    words = words[1:] if words[0] == "cross-env" else words
    while len(words) > 1 and (found := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0])):
        env[found[1]] = found[2]
        words = words[1:]
    if words[0] in ("nodemon", "node-dev"):
        words[0] = "node"
    if words[0] != "node" and "/" not in words[0]:
        words[0] = f"node_modules/.bin/{words[0]}"
    return shlex.join(words), {name: value for name, value in env.items() if name not in APP["env"]}


def _statics(tree: Tree, package: Package) -> dict[str, str]:
    """Directories that it would serve itself, by the path below which it does."""
    found = {path: directory.strip("/") for path, directory in _STATIC.findall(package.sources)}
    return {path: directory for path, directory in sorted(found.items()) if tree.names(directory)}


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def own_database(tree: Tree, path: str) -> dict[str, Any]:
    """Keys for a database whose name stands in the sources: each tenant has a file of its own under that name.

    Its directory is made private where nothing else is in it, since that can be mounted.
    """
    file = posixpath.normpath(path)
    if file.startswith(("/", "..")) or file == "." or ":" in file:
        return {}
    directory = posixpath.dirname(file)
    beside = [each for each in tree.names(f"{directory}/*") if directory and not _is_database(each)]
    return {"private": [file if beside or not directory else directory], "databases": [file]}


def _is_database(path: str) -> bool:
    return bool(re.search(r"\.(?:sqlite3?|db)(?:-\w+)?$|/\.(?:git)?keep$|/\.gitignore$", path))


def databases(tree: Tree) -> tuple[str, ...]:
    """SQLite files that are there already."""
    places, kinds = ("", "data/", "db/", "prisma/", "storage/", "var/"), ("sqlite", "sqlite3", "db")
    return tuple(each for place in places for kind in kinds for each in tree.names(f"{place}*.{kind}"))


def _detect(tree: Tree) -> Detected | None:
    """A package.json with Express, Fastify, Koa, Nest, Hono, hapi or Polka, or with a start script."""
    package = read_package(tree)
    if package is None:
        return None
    is_server = any(each in package.dependencies for each in _FRAMEWORKS)
    if not is_server and not package.scripts.get("start") and not tree.text("server.js"):
        return None
    app = needed(tree, package)
    if opened := _first(_OPENED, package.sources):
        app |= own_database(tree, opened)
    return Detected(package.because(*_FRAMEWORKS), app, 1, databases(tree), says(package))


PLATFORM = Platform("node", "Node", APP, _detect)
