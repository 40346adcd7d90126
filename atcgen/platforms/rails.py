"""Ruby on Rails: puma on a unix socket, mounted below the tenant's prefix by shims/rails/prefix.ru."""

from __future__ import annotations

import re
from typing import Any

from atcgen.platforms.platform import Detected, Platform, Tree

# The databases of Rails 8 besides the primary one: what brings each in, and the name it goes by.
_SOLID = {"solid_cache": "cache", "solid_queue": "queue", "solid_cable": "cable"}
_PRIMARY = "db.sqlite3"

# Only an application with an asset pipeline knows the task. Stylesheets are compiled once for all tenants, and name
# their images by whole paths, which therefore are where nginx serves them to all alike.
_BUILD = (
    "! grep -qE '^    (propshaft|sprockets-rails) ' Gemfile.lock || "
    "RAILS_RELATIVE_URL_ROOT=${app.path} SECRET_KEY_BASE=unused bin/rails assets:precompile"
)

APP = {
    "build": _BUILD,
    "prepare": "bin/rails db:prepare",
    "migrations": {
        "files": "db/migrate/*.rb",
        "name": "/([0-9]+)_[^/]*$",
        "table": "schema_migrations",
        "column": "version",
    },
    "start": "bundle exec puma -C config/puma.rb -b unix://${socket} ${shims}/rails/prefix.ru",
    "private": ["storage", "tmp", "log"],
    "files": ["storage"],
    "env": {
        "RAILS_ENV": "production",
        "RAILS_RELATIVE_URL_ROOT": "${tenant.path}",
        "SECRET_KEY_BASE": "${secret}",
        "DATABASE_URL": "sqlite3:${database}",  # of the primary database only
        **{f"{name.upper()}_DATABASE_URL": f"sqlite3:${{tenant.dir}}/{name}.sqlite3" for name in _SOLID.values()},
        "PIDFILE": "${tenant.dir}/puma.pid",
        "RAILS_LOG_TO_STDOUT": "1",
        "RAILS_SERVE_STATIC_FILES": "1",  # icons and pages of public/; its assets are nginx's
        "WEB_CONCURRENCY": "0",  # one process: a tenant is small, and Action Cable's async adapter knows no other
    },
    "static": {"assets": {"dir": "public/assets", "immutable": True, "shared": True}},
    "websocket": "cable",
}


def _detect(tree: Tree) -> Detected | None:
    """An application of `rails new`: it has bin/rails, and a config.ru for puma to run."""
    lock, gemfile = tree.text("Gemfile.lock"), tree.text("Gemfile")
    version = _locked(lock, "rails") or _locked(lock, "railties")
    named = bool(version) or re.search(r"""^\s*gem\s*\(?\s*["']rails["']""", gemfile, re.MULTILINE)
    if not named or not tree.text("bin/rails") or not tree.text("config.ru"):
        return None
    because = f"rails {version} in Gemfile.lock" if version else "rails in Gemfile"
    return Detected(because, _needed(tree, lock), 2, _databases(tree), _says(tree))


def _needed(tree: Tree, lock: str) -> dict[str, Any]:
    """What this application needs besides the preset."""
    app: dict[str, Any] = {}
    if "rails/health#show" in tree.text("config/routes.rb"):
        app["health"] = "/up"
    solid = [name for gem, name in _SOLID.items() if _locked(lock, gem)]
    if solid:
        app["databases"] = [_PRIMARY, *(f"{name}.sqlite3" for name in solid)]
    if "queue" in solid:  # two runners of jobs would do one job twice
        app |= {"env": {"SOLID_QUEUE_IN_PUMA": "1"}, "restart": "hold"}
    return app


def _databases(tree: Tree) -> tuple[str, ...]:
    """The primary database of production, where Rails 8 and where older ones have it."""
    return tuple(each for each in ("storage/production.sqlite3", "db/production.sqlite3") if tree.names(each))


def _says(tree: Tree) -> tuple[str, ...]:
    """What is left to do."""
    if re.search(r"^production:\n(?:[ \t]+.*\n)*?[ \t]+adapter: redis\b", tree.text("config/cable.yml"), re.MULTILINE):
        return (
            "config/cable.yml: Action Cable uses Redis in production; with one for all, tenants hear each other. "
            "`adapter: async` needs none.",
        )
    return ()


def _locked(lock: str, gem: str) -> str:
    """The version of a gem in Gemfile.lock; '' when it is not there."""
    found = re.search(rf"^    {gem} \(([^)]+)\)$", lock, re.MULTILINE)
    return found[1] if found else ""


PLATFORM = Platform("rails", "Ruby on Rails", APP, _detect)
