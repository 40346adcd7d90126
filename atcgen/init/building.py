"""What is to be built once per release: by atc, as `app.build`, and where an image is made."""

from __future__ import annotations

import posixpath
import re

from atcgen.compiler.names import application_path
from atcgen.platforms.platform import Tree

_RAILS = "SECRET_KEY_BASE=unused RAILS_RELATIVE_URL_ROOT={path} bin/rails assets:precompile"


def build_of(tree: Tree, platform: str) -> str:
    """The command as `app.build`; '' where nothing is to be built."""
    if platform == "rails" and (tree.names("app/assets") or tree.names("app/javascript")):
        return _RAILS.format(path="${app.path}")  # stylesheets name images by whole paths
    return ""


def build_in_image(build: str, file: str) -> str:
    """The same for a Dockerfile; `file` is where atc.yml is."""
    root = posixpath.relpath(".", posixpath.dirname(file) or ".")
    return f"RAILS_ENV=production {build.replace('${app.path}', application_path(root))}" if build else ""


def may_build(dockerfile: str) -> bool:
    """May a container write its own files? Not where it runs as somebody else than who made the image."""
    users = re.findall(r"^\s*USER\s+(\S+)", dockerfile, re.MULTILINE | re.IGNORECASE)
    return not users or users[-1].partition(":")[0] in ("root", "0")
