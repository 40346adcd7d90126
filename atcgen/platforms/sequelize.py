"""Sequelize, on Node: its migrations run before the start."""

from __future__ import annotations

import re
from typing import Any

from atcgen.platforms import node
from atcgen.platforms.platform import Detected, Platform, Tree

APP: dict[str, Any] = {
    **node.APP,
    "prepare": "node_modules/.bin/sequelize-cli db:migrate",
    "migrations": {"files": "migrations/*.*js", "table": "SequelizeMeta", "column": "name"},
    "env": {**node.APP["env"], "DATABASE_URL": "sqlite:${database}"},
}
_STORAGE = re.compile(r"""["']?\bstorage["']?\s*:\s*["'`]([\w./-]+)["'`]""")
_PRODUCTION = re.compile(r"""["']?\bproduction["']?\s*:\s*\{""")
_VARIABLE = re.compile(r"""["']?use_env_variable["']?\s*:\s*["'](\w+)["']""")


def _detect(tree: Tree) -> Detected | None:
    """Sequelize among the dependencies of package.json."""
    package = node.read_package(tree)
    if package is None or "sequelize" not in package.dependencies:
        return None
    app = node.needed(tree, package, "sqlite:")
    configuration = _configuration(tree)
    if found := _VARIABLE.search(configuration):
        if found[1] not in APP["env"]:
            app["env"] = {**app.get("env", {}), found[1]: "sqlite:${database}"}
    elif found := _STORAGE.search(configuration) or _STORAGE.search(package.sources):
        app |= node.own_database(tree, found[1])
    if not tree.names("migrations/*") and not tree.text(".sequelizerc") and not tree.names("**/migrations/*"):
        app["prepare"] = ""
    return Detected(package.because("sequelize"), app, 3, node.databases(tree), node.says(package))


def _configuration(tree: Tree) -> str:
    """What its configuration says of production; all of it when nothing is said of that."""
    names = (each for kind in ("json", "js", "cjs") for each in tree.names(f"**/config/config.{kind}"))
    text = tree.text(next(names, ""))
    found = _PRODUCTION.search(text)
    return text[found.end() :].partition("}")[0] if found else text


PLATFORM = Platform("sequelize", "Sequelize", APP, _detect)
