"""The calendar application: create_app() builds it, `app` is what a WSGI server loads."""

import os
from pathlib import Path

from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from calendar_app import api, live, pages, people, web
from calendar_app.models import db
from calendar_app.settings import from_environment
from calendar_app.uploads import UploadRequest


def create_app() -> Flask:
    """Build the application from the environment."""
    app = Flask(__name__)
    app.config.from_mapping(from_environment(os.environ))
    app.request_class = UploadRequest
    db.init_app(app)
    web.init_app(app)
    for blueprint in (pages.blueprint, people.blueprint, live.blueprint, api.blueprint):
        app.register_blueprint(blueprint)
    CSRFProtect(app).exempt(api.blueprint)
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        enable_migrations(app)
    # The server sets SCRIPT_NAME, so X-Forwarded-Prefix stays ignored.
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=0, x_prefix=0
    )
    return app


def enable_migrations(app: Flask) -> None:
    """Only the flask command line needs Alembic; serving starts faster without importing it."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(Path(__file__).parent / "migrations"))


app = create_app()
