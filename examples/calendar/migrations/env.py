"""Runs the migrations on the application's database: all that are missing, or none."""

import logging

from alembic import context
from flask import current_app

logging.basicConfig(level=logging.WARNING, format="%(levelname)s [%(name)s] %(message)s")
logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)


def run_migrations() -> None:
    """Migrate in one transaction; a second process that wants to migrate waits for it."""
    db = current_app.extensions["migrate"].db
    with db.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        context.configure(
            connection=connection, target_metadata=db.metadata, render_as_batch=True
        )
        context.run_migrations()
        connection.commit()


run_migrations()
