"""A store that cannot be opened says what, where and what to do."""

from __future__ import annotations

import sqlite3

import pytest
from old_homes import RUN_WITH_A_LOG, unpack

from spotwise.scheduler.core.errors import ExitCode, StoreError, StoreTooNewError
from spotwise.scheduler.store import Store
from spotwise.scheduler.store.schema import REVISION, VERSION_TABLE


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "spotwise.db"
    path.write_text("these are not the bytes of a database " * 100)
    with pytest.raises(StoreError, match=r"store sqlite:.*spotwise\.db.*not a database"):
        Store.open(f"sqlite:///{path}")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the store"):
        Store.open(f"sqlite:///{tmp_path / 'file' / 'spotwise.db'}")


def test_a_server_that_is_not_there_is_named_without_its_password():
    with pytest.raises(StoreError, match=r"postgresql.*127\.0\.0\.1") as error:
        Store.open("postgresql+psycopg://ana:secret@127.0.0.1:1/spotwise")
    assert "secret" not in str(error.value)


def test_a_store_of_a_newer_spotwise_is_left_alone(tmp_path):
    path = tmp_path / "spotwise.db"
    Store.open(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0999'")  # noqa: S608 - a name of ours
        before = list(connection.iterdump())
    with pytest.raises(
        StoreTooNewError, match=rf"newer spotwise \(schema 999; this one knows {int(REVISION)}\): upgrade"
    ) as error:
        Store.open(f"sqlite:///{path}")
    assert error.value.exit_code is ExitCode.BAD_INPUT
    with sqlite3.connect(path) as connection:
        assert list(connection.iterdump()) == before


def test_sqlite_writes_ahead_so_that_readers_never_wait(tmp_path):
    path = tmp_path / "spotwise.db"
    Store.open(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_store_of_an_older_spotwise_is_brought_up_to_date(tmp_path):
    """The oldest that there is."""
    path = unpack(tmp_path / "home")
    with sqlite3.connect(path) as connection:
        for table, column in (("runs", "storage"), ("runs", "hosts"), ("runs", "mounts_json"), ("attempts", "host")):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("DROP TABLE rests")
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema'")
    for _ in range(2):  # the second time there is nothing left to do
        store = Store.open(f"sqlite:///{path}")
        run = store.run(RUN_WITH_A_LOG)
        assert (run.storage, run.hosts, run.mounts_json) == ("", 1, "{}")
        assert store.attempts(RUN_WITH_A_LOG)[0].host == 0
        assert store.remaining("digits-act333") is None
        store.close()
