"""A home that the version before migrations made, as it lies under tests/golden/store."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

GOLDEN = Path(__file__).parents[1] / "golden" / "store" / "schema_4"
RUN_WITH_A_LOG = "greet-4nqk4j"


def unpack(home: Path) -> Path:
    """Put the home into a folder that is not there yet; its database's path."""
    attempt = f"{RUN_WITH_A_LOG}-a1"
    shutil.copytree(GOLDEN / attempt, home / "runs" / RUN_WITH_A_LOG / "attempts" / attempt)
    statements = (GOLDEN / "store.sql").read_text(encoding="utf-8")
    statements = statements.replace("@HOME@", str(home)).replace("@WORK@", str(home.parent))
    database = home / "spotwise.db"
    with sqlite3.connect(database) as connection:
        connection.executescript(statements)
    connection.close()
    return database
