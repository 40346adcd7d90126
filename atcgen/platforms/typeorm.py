"""TypeORM, on Node: its migrations run before the start."""

from __future__ import annotations

import re

from atcgen.platforms import node
from atcgen.platforms.platform import Detected, Platform, Tree

APP = {
    **node.APP,
    "prepare": "node_modules/.bin/typeorm migration:run -d data-source.js",
    "migrations": {
        "files": "migrations/*",
        "name": "/([0-9]{13})-[^/]*$",
        "table": "migrations",
        "column": "timestamp",
    },
}
_DATABASE = re.compile(r"""\bdatabase\s*:\s*["'`]([\w./-]+)["'`]""")
_MIGRATIONS = re.compile(r"\bmigrations\s*:\s*\[\s*[^\s\]]")


def _detect(tree: Tree) -> Detected | None:
    """TypeORM among the dependencies of package.json."""
    package = node.read_package(tree)
    if package is None or "typeorm" not in package.dependencies:
        return None
    app = node.needed(tree, package)
    source = next((each for kind in ("js", "mjs", "cjs", "ts") for each in tree.names(f"**/data-source.{kind}")), "")
    prepare = _prepare(tree, package, source)
    if prepare != APP["prepare"]:
        app["prepare"] = prepare
    if found := _DATABASE.search(tree.text(source) or package.sources):
        app |= node.own_database(tree, found[1])
    return Detected(package.because("typeorm"), app, 3, node.databases(tree), node.says(package))


def _prepare(tree: Tree, package: node.Package, source: str) -> str:
    """The package's own script for it, if there is one; nothing where there are no migrations."""
    if script := package.script("migration:run"):
        return node.command(script)[0]
    if not source or not _MIGRATIONS.search(tree.text(source)):
        return ""
    if source.endswith(".ts"):
        return f"node_modules/.bin/typeorm-ts-node-commonjs migration:run -d {source}"
    return f"node_modules/.bin/typeorm migration:run -d {source}"


PLATFORM = Platform("typeorm", "TypeORM", APP, _detect)
