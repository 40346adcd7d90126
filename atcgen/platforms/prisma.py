"""Prisma, on Node: its migrations are deployed before the start."""

from __future__ import annotations

import re

from atcgen.platforms import node
from atcgen.platforms.platform import Detected, Platform, Tree

_GENERATE = f"node_modules/.bin/{node.GENERATES}"
APP = {
    **node.APP,
    "build": f"({node.APP['build']}) && {_GENERATE}",
    "prepare": "node_modules/.bin/prisma migrate deploy",
    "migrations": {
        "files": "prisma/migrations/*/migration.sql",
        "name": "([^/]+)/migration[.]sql$",
        "table": "_prisma_migrations",
        "column": "migration_name",
    },
}
_SOURCE = re.compile(r"^\s*datasource\s+\w+\s*\{(.*?)\}", re.MULTILINE | re.DOTALL)


def _detect(tree: Tree) -> Detected | None:
    """A package.json, and a schema.prisma."""
    package = node.read_package(tree)
    schema = next(iter(tree.names("prisma/schema.prisma") or tree.names("**/schema.prisma")), "")
    if package is None or not schema:
        return None
    source = _SOURCE.search(tree.text(schema))
    said = source[1] if source else ""
    app = node.needed(tree, package)
    if "build" in app:  # what it builds uses what is generated
        install, then, build = app["build"].rpartition(" && ")
        app["build"] = f"{install} && {_GENERATE} && {build}" if then else f"({build}) && {_GENERATE}"
    if variable := _first(r'url\s*=\s*env\("(\w+)"\)', said):
        if variable not in node.APP["env"]:
            app["env"] = {**app.get("env", {}), variable: "file:${database}"}
    elif file := _first(r'url\s*=\s*"file:([^"?]+)', said):  # it is relative to the schema
        app |= node.own_database(tree, f"{schema.rpartition('/')[0] or '.'}/{file}")
    if not tree.names(f"{schema.rpartition('/')[0] or '.'}/migrations".removeprefix("./")):
        app["prepare"] = "node_modules/.bin/prisma db push --skip-generate"
    because = package.because("@prisma/client", "prisma").replace("package.json", schema)
    return Detected(because, app, 3, node.databases(tree), (*node.says(package), *_says(said)))


def _says(source: str) -> list[str]:
    provider = _first(r'provider\s*=\s*"(\w+)"', source)
    said = f"its database is {provider}: a tenant's own is an SQLite file, and only such are copied and restored."
    return [] if provider in ("", "sqlite") else [said]


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


PLATFORM = Platform("prisma", "Prisma", APP, _detect)
