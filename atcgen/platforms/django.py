"""Django: gunicorn on a unix socket, or uvicorn where there are channels.

shims/python/atc_settings.py makes the project's settings the tenant's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from atcgen.platforms.platform import Detected, Platform, Tree
from atcgen.platforms.requirements import ENV, RUN, SERVE, health, required, sources

_FIRST = "db.sqlite3"
_SETTINGS = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")

APP: dict[str, Any] = {
    "build": f"{RUN} python ${{shims}}/python/atc_collect.py",
    "prepare": f"{RUN} python manage.py migrate --noinput",
    "start": f"{SERVE} django ${{socket}}",
    "env": {
        **ENV,
        "DJANGO_SETTINGS_MODULE": "atc_settings",
        "DJANGO_SECRET_KEY": "${secret}",
        "STATIC_ROOT": "${app.root}/staticfiles",
        "PYTHONPATH": "${shims}/python",  # for manage.py, whoever runs it for a tenant
        "ATC_TENANT": "${tenant.id}",
        "ATC_TENANT_DIR": "${tenant.dir}",
        "ATC_TENANT_HOST": "${tenant.host}",
    },
    "files": ["media"],
    "static": {"static": "staticfiles", "media": {"dir": "${tenant.dir}/media", "max_age": 0}},
}


def _detect(tree: Tree) -> Detected | None:
    """A project of `django-admin startproject`: it has a manage.py, which names its settings."""
    named = _SETTINGS.search(tree.text("manage.py"))
    if not named:
        return None
    file = named[1].replace(".", "/")
    settings = tree.text(f"{file}.py") or tree.text(f"{file}/__init__.py")
    app: dict[str, Any] = {}
    databases = tuple(_databases(settings))
    if databases not in ((), (_FIRST,)):
        app["databases"] = list(databases)
    path = health(sources(tree, "urls.py", "*/urls.py"), r"path\(")
    if path:
        app["health"] = path
    return Detected(
        required(tree, "django") or f"manage.py names {named[1]}",
        app,
        weight=2,
        databases=tuple(each for each in databases if each in tree.names(each)),
        says=_says(tree, settings),
    )


def _says(tree: Tree, settings: str) -> tuple[str, ...]:
    server = "uvicorn" if "channels" in settings else "gunicorn"
    return () if required(tree, server) else (f"add {server} to the application's requirements: it serves tenants",)


def _databases(settings: str) -> Iterator[str]:
    """The names of the SQLite files in DATABASES, the default one's first."""
    try:
        module = ast.parse(settings)
    except SyntaxError:
        return
    for each in module.body:
        is_it = isinstance(each, ast.Assign) and any(getattr(to, "id", "") == "DATABASES" for to in each.targets)
        if is_it and isinstance(each, ast.Assign) and isinstance(each.value, ast.Dict):
            found = {alias: _file(said) for alias, said in _items(each.value) if isinstance(said, ast.Dict)}
            yield from (found[alias] for alias in sorted(found, key=lambda one: one != "default") if found[alias])


def _file(said: ast.Dict) -> str:
    values = dict(_items(said))
    engine, name = (_constants(values[each]) if each in values else [] for each in ("ENGINE", "NAME"))
    return name[-1].rpartition("/")[2] if name and "sqlite3" in str(engine) else ""


def _constants(value: ast.expr) -> list[str]:
    """The texts in an expression, as they follow each other."""
    found = [each for each in ast.walk(value) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return [str(each.value) for each in sorted(found, key=lambda each: (each.lineno, each.col_offset))]


def _items(said: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    for key, value in zip(said.keys, said.values, strict=True):
        if isinstance(key, ast.Constant):
            yield str(key.value), value


PLATFORM = Platform("django", "Django", APP, _detect)
