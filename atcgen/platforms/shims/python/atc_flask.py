"""`application` of a Flask project, found as the `flask` command finds it, with the tenant's own secret."""

from __future__ import annotations

import os
from typing import Any

from flask.cli import NoAppException, ScriptInfo


def find() -> Any:
    """The application. Ends the process with flask's own words when there is none."""
    try:
        found = ScriptInfo(app_import_path=os.environ.get("FLASK_APP"), set_debug_flag=False).load_app()
    except NoAppException as missing:
        raise SystemExit(str(missing)) from None
    # One secret for all tenants would let a session of one be used at another.
    found.secret_key = os.environ.get("SECRET_KEY") or found.secret_key
    return found


application = find()
