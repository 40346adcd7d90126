"""Flask: gunicorn on a unix socket, which takes the prefix from SCRIPT_NAME."""

from __future__ import annotations

from typing import Any

from atcgen.platforms.platform import Detected, Platform, Tree
from atcgen.platforms.requirements import ENV, RUN, SERVE, health, literal_databases, required, sources

APP: dict[str, Any] = {
    "prepare": f"{RUN} python ${{shims}}/python/atc_prepare.py",
    "start": f"{SERVE} flask ${{socket}}",
    "env": {
        **ENV,
        "SQLALCHEMY_DATABASE_URI": "sqlite:///${database}",
        # For `app.config.from_prefixed_env()`.
        "FLASK_SECRET_KEY": "${secret}",
        "FLASK_SQLALCHEMY_DATABASE_URI": "sqlite:///${database}",
    },
}


def _detect(tree: Tree) -> Detected | None:
    """An application that asks for Flask."""
    because = required(tree, "flask")
    if not because:
        return None
    text = sources(tree, "*.py", "*/*.py")
    app: dict[str, Any] = {}
    path = health(text, r"(?:route|get)\(") or health(text, r"add_url_rule\(")
    if path:
        app["health"] = path
    if tree.names("static/*"):
        app["static"] = {"static": "static"}
    # Flask-SQLAlchemy finds relative files below the instance directory, which all tenants would share.
    literal = tuple(f"instance/{each}" for each in literal_databases(text))
    if literal or "instance_path" in text:
        app["private"] = ["instance"]
        app |= {"databases": list(literal)} if literal else {}
    says = () if required(tree, "gunicorn") else ("add gunicorn to the application's requirements: it serves tenants",)
    return Detected(because, app, databases=tuple(each for each in literal if each in tree.names(each)), says=says)


PLATFORM = Platform("flask", "Flask", APP, _detect)
