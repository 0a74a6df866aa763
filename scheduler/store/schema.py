"""The schema of a store: made when the store is new, brought up to date when it is older, left alone when it is newer.

Its number is in Alembic's own table and is read by one query. A new store is made from ``tables``, an older one goes
through ``migrations``; a test compares the two. Either is one transaction in which no other process can do the same:
it happens whole, once, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, insert, inspect, select

from ..core.errors import StoreTooNewError
from . import tables
from .changes import ChangeLog, Subject

REVISION = "0010"  # the newest migration
_LAST_WITHOUT_ALEMBIC = 4
# What `meta` says since: a spotwise of before Alembic looks there, and leaves alone what is above 4.
_KEEPS_OLDER_AWAY = {"key": "schema", "value": str(_LAST_WITHOUT_ALEMBIC + 1)}
_LOCK = 7301901  # PostgreSQL's advisory lock; SQLite's writers queue by themselves

# Not Alembic's usual name: other programs' tables may lie in the same database.
VERSION_TABLE = "spotwise_schema"
version = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True))


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """What opening a store did to its schema."""

    before: int | None  # None: there was no store
    after: int


def bring_up_to_date(engine: Engine, reading: Engine, log: ChangeLog) -> SchemaChange:
    """Make or upgrade the tables where that is due.

    Args:
        reading: the same database, for transactions that only read: on SQLite they wait for nobody.

    Raises:
        StoreTooNewError: a newer spotwise wrote it.
    """
    with reading.begin() as connection:
        found = _number(connection)
    if found != int(REVISION):
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            found = _number(connection)  # another process may have been faster
            _change(connection, found, log)
    return SchemaChange(found, int(REVISION))


def _change(connection: Connection, found: int | None, log: ChangeLog) -> None:
    if found == int(REVISION):
        return
    if found is None:
        _create(connection)
    elif found > int(REVISION):
        raise StoreTooNewError(
            f"the store was written by a newer spotwise (schema {found}; this one knows {int(REVISION)}): "
            "upgrade spotwise here, or name another store in the settings"
        )
    else:
        from .migrate import run_migrations  # Alembic takes longer to load than most commands take

        start = f"{found:04d}" if found > _LAST_WITHOUT_ALEMBIC else None
        run_migrations(connection, VERSION_TABLE, start, REVISION)
    before = None if found is None else str(found)
    log.append(connection, Subject.STORE, "schema", {"schema": (before, str(int(REVISION)))}, cause="opened")


def _create(connection: Connection) -> None:
    tables.metadata.create_all(connection)
    version.create(connection)
    connection.execute(insert(version).values(version_num=REVISION))
    connection.execute(insert(tables.meta).values(**_KEEPS_OLDER_AWAY))


def _number(connection: Connection) -> int | None:
    """The number of the store's schema; None where there is no store yet."""
    if inspect(connection).has_table(VERSION_TABLE):
        return int(connection.execute(select(version.c.version_num)).scalar_one())
    if inspect(connection).has_table(tables.meta.name):  # of before Alembic
        return int(connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == "schema")).scalar_one())
    return None
