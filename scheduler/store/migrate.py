"""Runs the migrations that a store lacks. Apart from ``schema``, so that Alembic is loaded only where one is due."""

from __future__ import annotations

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_SCRIPTS = Path(__file__).with_name("migrations")


def migration_scripts() -> ScriptDirectory:
    """All migrations that this version of spotwise knows."""
    return ScriptDirectory(_SCRIPTS, version_locations=[_SCRIPTS])


def run_migrations(connection: Connection, version_table: str, found: str | None, wanted: str) -> None:
    """Bring the schema from one revision to another, in the transaction of ``connection``.

    Args:
        version_table: where Alembic keeps the revision.
        found: the revision that the store is at; None: it is older than the first.
    """
    scripts = migration_scripts()
    context = MigrationContext.configure(connection, opts={"version_table": version_table})
    due = list(scripts.iterate_revisions(wanted, found or "base"))  # the last comes first
    with Operations.context(context):
        for script in reversed(due):
            script.module.upgrade()
    context.stamp(scripts, wanted)
