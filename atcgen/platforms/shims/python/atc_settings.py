"""The settings of a Django project as a tenant's: the project's own, and above them what differs from tenant to tenant.

The project's are those that its manage.py names, or ATC_DJANGO_SETTINGS. An owner whose settings read all of that from
the environment themselves says `DJANGO_SETTINGS_MODULE` in `env:` of atc.yml, and this module is not used at all.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path

from atc_overrides import overrides

_IN_MANAGE = re.compile(r"""DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']""")


def _project() -> str:
    """The name of the project's own module."""
    named = os.environ.get("ATC_DJANGO_SETTINGS")
    if named:
        return named
    try:
        found = _IN_MANAGE.search(Path("manage.py").read_text(encoding="utf-8"))
    except OSError:
        sys.exit(f"there is no manage.py in {os.getcwd()}: `root` in atc.yml is the directory of manage.py")
    if not found:
        sys.exit("manage.py names no settings: say ATC_DJANGO_SETTINGS in `env` of atc.yml, such as project.settings")
    return found[1]


if os.getcwd() not in sys.path:
    sys.path.insert(0, os.getcwd())
_own = import_module(_project())
_settings = {name: getattr(_own, name) for name in dir(_own) if name.isupper()}
globals().update(_settings | overrides(_settings, os.environ))
