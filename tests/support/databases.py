"""The databases that a store runs on: SQLite always, PostgreSQL where SPOTWISE_TEST_POSTGRES names a server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import NullPool, create_engine, make_url

SERVER = os.environ.get("SPOTWISE_TEST_POSTGRES", "")  # a role that may create databases; the URL's own is not touched
KINDS = ["sqlite", "postgres"] if SERVER else ["sqlite"]


@contextmanager
def empty_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a new database, which is gone afterwards."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'spotwise.db'}"
        return
    name = f"spotwise_test_{uuid.uuid4().hex}"
    on_server(f"CREATE DATABASE {name}")
    try:
        yield make_url(SERVER).set(database=name).render_as_string(hide_password=False)
    finally:
        on_server(f"DROP DATABASE {name} WITH (FORCE)")


def on_server(statement: str) -> None:
    """Run one statement on the PostgreSQL server, outside any transaction."""
    engine = create_engine(SERVER, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
