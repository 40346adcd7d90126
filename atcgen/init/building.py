"""What is built once per release where an image is made; `app.build` does the same where it runs."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from atcgen.compiler.names import application_path
from atcgen.platforms.platform import Tree

# What a build writes below the application, which may belong to somebody else than who runs it.
WRITES: Mapping[str, tuple[str, ...]] = {"rails": ("public/assets",), "django": ("staticfiles",)}
_RAILS = "RAILS_ENV=production SECRET_KEY_BASE=unused {root} bin/rails assets:precompile"


def build_in_image(tree: Tree, platform: str, file: str) -> str:
    """The command for a Dockerfile, '' for none; `file` is where atc.yml is."""
    if platform == "rails" and (tree.names("app/assets") or tree.names("app/javascript")):
        return _RAILS.format(root=path_of_assets(file))
    return ""


def path_of_assets(file: str) -> str:
    """The variable by which stylesheets of Rails name images as nginx serves them, to all tenants alike."""
    root = posixpath.relpath(".", posixpath.dirname(file) or ".")
    return f"RAILS_RELATIVE_URL_ROOT={application_path(root)}"
