"""Messages on their way to people: each is kept until a channel has taken it, so that none is lost by a crash."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from . import tables
from .changes import Change, change_of
from .store import Store

_CURSOR = "notified_change"
_READ_AT_ONCE = 500  # changes
GIVEN_UP_AFTER = timedelta(days=3)
_CLAIM = timedelta(minutes=2)  # longer than any delivery takes: whoever died over one is followed by another
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One message for one channel."""

    id: str  # the same event for the same channel has the same: it is kept once
    run_id: str | None
    at: datetime
    message: str  # JSON
    channel: str  # JSON: names of variables, no secrets
    tries: int = 0
    last_error: str = ""


class Outbox:
    """The store's messages."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def unread_changes(self) -> tuple[list[Change], int]:
        """Changes that nobody has been told of, oldest first, and the number of the last one."""
        table = tables.changes
        with self._store.transaction(reads=True) as connection:
            read = _cursor(connection)
            query = select(table).where(table.c.id > read).order_by(table.c.id).limit(_READ_AT_ONCE)
            rows = [row._mapping for row in connection.execute(query)]
        whole = [row for row in rows if isinstance(row["at"], datetime)]  # of a damaged one nobody can be told
        return [change_of(row) for row in whole], max((row["id"] for row in rows), default=read)

    def add(self, entries: Sequence[OutboxEntry], read_until: int | None = None) -> None:
        """Keep messages, each once, and how far the history has been read, in one transaction."""
        table = tables.notifications
        # Where another process adds the same at this moment, nothing is written, and read again.
        with suppress(IntegrityError), self._store.transaction() as connection:
            if read_until is not None:
                _move_cursor(connection, read_until)
            ids = [entry.id for entry in entries]
            known = set(connection.execute(select(table.c.id).where(table.c.id.in_(ids))).scalars()) if ids else set()
            new = {entry.id: entry for entry in entries if entry.id not in known}
            if new:
                connection.execute(insert(table), [_row(entry) for entry in new.values()])

    def waiting(self) -> list[OutboxEntry]:
        """All that has not been delivered, oldest first."""
        table = tables.notifications
        query = select(table).where(table.c.delivered_at.is_(None)).order_by(table.c.at, table.c.id)
        with self._store.transaction(reads=True) as connection:
            return [_entry(row._mapping) for row in connection.execute(query)]

    def claim(self, now: datetime) -> OutboxEntry | None:
        """The next message that is due, for this process alone; None if there is none."""
        table = tables.notifications
        due = (table.c.delivered_at.is_(None), table.c.next_try_at <= now, table.c.at > now - GIVEN_UP_AFTER)
        query = select(table).where(*due).order_by(table.c.next_try_at, table.c.id).limit(1)
        with self._store.transaction() as connection:
            found = connection.execute(query).first()
            if found is None:
                return None
            row = found._mapping
            mine = update(table).where(table.c.id == row["id"], *due).values(next_try_at=now + _CLAIM)
            return _entry(row) if connection.execute(mine).rowcount else None

    def settle(self, entry: OutboxEntry, now: datetime, error: str = "") -> None:
        """A try has ended: delivered, or to be tried again after a pause that grows."""
        table, tries = tables.notifications, entry.tries + 1
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(entry.tries, 20))
        after = {"next_try_at": now + pause} if error else {"delivered_at": now}
        with self._store.transaction() as connection:
            values = {"tries": tries, "last_error": error, **after}
            connection.execute(update(table).where(table.c.id == entry.id).values(**values))


def _cursor(connection: Connection) -> int:
    found = connection.execute(select(tables.meta.c.value).where(tables.meta.c.key == _CURSOR)).scalar()
    return int(found or 0)


def _move_cursor(connection: Connection, to: int) -> None:
    meta = tables.meta
    moved = connection.execute(update(meta).where(meta.c.key == _CURSOR).values(value=str(to)))
    if moved.rowcount == 0:
        connection.execute(insert(meta).values(key=_CURSOR, value=str(to)))


def _row(entry: OutboxEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "run_id": entry.run_id,
        "at": entry.at,
        "message": entry.message,
        "channel": entry.channel,
        "tries": 0,
        "next_try_at": entry.at,
        "delivered_at": None,
        "last_error": "",
    }


def _entry(row: object) -> OutboxEntry:
    values = dict(row)  # type: ignore[call-overload]
    names = ("id", "run_id", "at", "message", "channel", "tries", "last_error")
    return OutboxEntry(**{name: values[name] for name in names})
