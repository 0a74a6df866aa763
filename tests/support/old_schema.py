"""The schema of the version before migrations, on any database: that of its golden SQLite store."""

from __future__ import annotations

import re

from old_homes import GOLDEN
from sqlalchemy import create_engine


def create_schema_4(url: str) -> None:
    """Make its tables and indexes, empty but for the number of the schema."""
    text = (GOLDEN / "store.sql").read_text(encoding="utf-8")
    statements = re.findall(r"^CREATE (?:TABLE|INDEX) .*?;$", text, flags=re.MULTILINE | re.DOTALL)
    engine = create_engine(url)
    is_postgres = engine.dialect.name == "postgresql"
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(_for_postgres(statement) if is_postgres else statement)
        connection.exec_driver_sql("INSERT INTO meta VALUES ('schema', '4')")
    engine.dispose()


def _for_postgres(statement: str) -> str:
    made = statement.replace(" DATETIME", " TIMESTAMP WITH TIME ZONE")
    if made.startswith("CREATE TABLE events"):
        made = made.replace("id INTEGER NOT NULL", "id SERIAL NOT NULL")
    return made
