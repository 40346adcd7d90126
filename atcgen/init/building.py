"""What is to be built once per release, before tenants are served."""

from __future__ import annotations

import posixpath

from atcgen.compiler.names import application_path
from atcgen.platforms.platform import Tree


def build_command(tree: Tree, platform: str, file: str) -> str:
    """The command, run in the application's directory; '' where nothing is to be built. `file`: atc.yml's place."""
    if platform == "rails" and (tree.names("app/assets") or tree.names("app/javascript")):
        root = posixpath.relpath(".", posixpath.dirname(file) or ".")
        # Stylesheets name images by whole paths: those at which nginx serves them to all tenants.
        variables = f"RAILS_ENV=production SECRET_KEY_BASE=unused RAILS_RELATIVE_URL_ROOT={application_path(root)}"
        return f"{variables} bin/rails assets:precompile"
    return ""


def is_built(tree: Tree, platform: str) -> bool:
    """Has it been built already?"""
    return platform != "rails" or bool(tree.names("public/assets/*"))
