"""Whether a new release brings anything that a tenant's database has not."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from atcgen.compiler.plan import TenantPlan
from atcgen.system.release import forget_prepared, is_prepared, is_up_to_date, mark_pending
from tests.compiler.compiling import compiled

_TEXT = """
app:
  prepare: migrate
  migrations: {files: 'db/migrate/*.rb', name: '/([0-9]+)_[^/]*$', table: schema_migrations, column: version}
users: {a: {tenants: {x: {}}}}
"""
_OLD, _NEW = "first migrate", "second migrate"


@pytest.fixture
def plan(tmp_path: Path) -> TenantPlan:
    """A tenant that was prepared for a release with one migration."""
    (tmp_path / "app/db/migrate").mkdir(parents=True)
    (tmp_path / "app/db/migrate/20260101000000_create_events.rb").touch()
    (tmp_path / "data").mkdir()
    database = tmp_path / "data/db.sqlite3"
    with closing(sqlite3.connect(database)) as made, made:
        made.execute("CREATE TABLE schema_migrations (version TEXT)")
        made.execute("INSERT INTO schema_migrations VALUES ('20260101000000')")
    (tmp_path / "data/.prepared").write_text(_OLD)
    (found,) = compiled(_TEXT).plan.tenants
    return replace(
        found, root=str(tmp_path / "app"), directory=str(tmp_path / "data"), databases=(str(database),)
    )


def is_ready(plan: TenantPlan, stamp: str) -> bool:
    """Without running anything."""
    return asyncio.run(is_up_to_date(plan, stamp))


def test_a_release_without_new_migrations_needs_no_preparation(plan: TenantPlan) -> None:
    """And is not looked at again."""
    assert is_ready(plan, _NEW)
    assert is_prepared(plan, _NEW)


def test_one_that_brings_a_migration_needs_it(plan: TenantPlan) -> None:
    """Nothing is noted."""
    Path(plan.root, "db/migrate/20260202000000_add_notes.rb").touch()

    assert not is_ready(plan, _NEW)
    assert is_prepared(plan, _OLD)


def test_another_command_may_do_something_else(plan: TenantPlan) -> None:
    """Whatever the migrations are."""
    assert not is_ready(plan, "second migrate-and-seed")


def test_a_preparation_that_failed_is_run_again(plan: TenantPlan) -> None:
    """Some frameworks list a migration before it has run."""
    mark_pending(plan, _NEW)

    assert not is_ready(plan, _NEW)


def test_what_cannot_be_seen_is_prepared(plan: TenantPlan) -> None:
    """No database, no table, no migrations, no idea where they are."""
    assert not is_ready(replace(plan, migrations=None), _NEW)
    assert plan.migrations
    assert not is_ready(replace(plan, migrations=replace(plan.migrations, table='no "table"')), _NEW)
    assert not is_ready(replace(plan, migrations=replace(plan.migrations, files="none/*.rb")), _NEW)
    assert not is_ready(replace(plan, databases=(*plan.databases, f"{plan.directory}/more.sqlite3")), _NEW)


def test_databases_that_were_replaced_are_prepared(plan: TenantPlan) -> None:
    """They may be older than what was noted."""
    forget_prepared(plan)

    assert not is_ready(plan, _OLD)
