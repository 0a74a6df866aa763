"""A migrated store and a new one have the same schema, on every database; and what is asked of it costs one query."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import KINDS, empty_database
from factories import run
from old_schema import create_schema_4
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DatabaseError

from spotwise.scheduler.core.errors import StoreError
from spotwise.scheduler.store import Store, tables
from spotwise.scheduler.store.schema import REVISION, VERSION_TABLE

OPENS = """
import sys
from spotwise.scheduler.store import Store
print("ready", flush=True)
sys.stdin.readline()
print(Store.open(sys.argv[1]).schema.before)
"""


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    with empty_database(request.param, tmp_path) as made:
        yield made


def schema_of(url):
    """Everything that can be told of a schema without its data: columns, keys, indexes, triggers."""
    engine = create_engine(url)
    seen = inspect(engine)
    triggers = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname",
    }
    with engine.connect() as connection:
        named = list(connection.execute(text(triggers[engine.dialect.name])).scalars())
    described = {
        name: (
            sorted((column["name"], str(column["type"]), column["nullable"]) for column in seen.get_columns(name)),
            sorted((each["name"], tuple(each["column_names"]), each["unique"]) for each in seen.get_indexes(name)),
            seen.get_pk_constraint(name)["constrained_columns"],
        )
        for name in seen.get_table_names()
    }
    engine.dispose()
    return described, named


def drift(url):
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = compare_metadata(context, tables.metadata)
    engine.dispose()
    return found


def test_a_migrated_store_has_the_tables_that_the_code_knows(url):
    create_schema_4(url)
    store = Store.open(url)
    assert (store.schema.before, store.schema.after) == (4, int(REVISION))
    store.close()
    assert drift(url) == []


def test_a_migrated_store_is_like_a_new_one(request, tmp_path, url):
    create_schema_4(url)
    Store.open(url).close()
    (tmp_path / "new").mkdir()
    with empty_database(request.node.callspec.params["url"], tmp_path / "new") as new:
        Store.open(new).close()
        assert drift(new) == []
        assert schema_of(url) == schema_of(new)


def test_of_processes_that_open_an_older_store_at_once_one_upgrades_it(url):
    create_schema_4(url)
    command = [sys.executable, "-c", OPENS, url]
    opening = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.stdout.readline() for process in opening] == ["ready\n"] * 3
    for process in opening:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sorted(int(process.communicate(timeout=60)[0]) for process in opening) == [4, int(REVISION), int(REVISION)]


def test_a_migration_that_fails_leaves_the_store_as_it_was(url, monkeypatch):
    create_schema_4(url)
    before = schema_of(url)
    with monkeypatch.context() as patched:
        patched.setattr(MigrationContext, "stamp", lambda *_: Path("/nonexistent/file").read_text())
        with pytest.raises(StoreError, match="cannot open"):
            Store.open(url)
    assert schema_of(url) == before
    Store.open(url).close()


@pytest.mark.parametrize("statement", ["UPDATE changes SET cause = ''", "DELETE FROM changes"])
def test_the_database_itself_refuses_to_change_the_history(url, statement):
    store = Store.open(url)
    store.add_run(run(), "key")
    before = store.changes()
    engine = create_engine(url)
    with pytest.raises(DatabaseError, match="appended only"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert store.changes() == before
    store.close()
