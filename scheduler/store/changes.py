"""The history of money and states: who changed what, when and why. Rows are appended; none is changed or removed."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select

from ..core.clock import Clock
from . import tables


@dataclass(frozen=True, slots=True)
class Actor:
    """Who opened the store; "" where it is not known."""

    user: str = ""  # of the operating system
    host: str = ""
    command: str = ""  # of spotwise, such as "submit" or "studies forget"

    @classmethod
    def of_this_process(cls, command: str) -> Actor:
        """Who runs this process, by what the operating system says: variables such as USER can be set by anybody."""
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:  # a container whose user has no name
            user = f"uid {os.getuid()}"
        return cls(user, socket.gethostname(), command)


class Subject(StrEnum):
    """What a change is of."""

    RUN = "run"
    ATTEMPT = "attempt"
    STUDY = "study"
    MODEL = "model"
    OCCURRENCE = "occurrence"
    STORE = "store"  # its schema


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one subject, before and after. Money is USD as decimal text."""

    at: datetime
    actor: Actor
    subject: Subject
    subject_id: str
    field: str
    before: str | None  # None: there was none
    after: str | None  # None: it is gone
    cause: str  # for people; "" where the change says all there is to say
    run_id: str | None = None  # the run that it belongs to; None: no run


class ChangeLog:
    """Appends changes, each in the transaction that makes it."""

    def __init__(self, actor: Actor, clock: Clock) -> None:
        self._actor, self._clock = actor, clock

    def append(
        self,
        connection: Connection,
        subject: Subject,
        subject_id: str,
        changed: Mapping[str, tuple[object, object]],
        *,
        cause: str = "",
        run_id: str | None = None,
    ) -> None:
        """Append a row for each field that is not what it was.

        Args:
            changed: by field, the value before and the value after; None stands for none.
        """
        whose = {"actor_user": self._actor.user, "actor_host": self._actor.host, "command": self._actor.command}
        what = {"subject": subject.value, "subject_id": subject_id, "run_id": run_id, "cause": cause}
        at = self._clock.now()
        new = [
            {"at": at, **whose, **what, "field": field, "before": _text(before), "after": _text(after)}
            for field, (before, after) in changed.items()
            if before != after
        ]
        if new:
            connection.execute(insert(tables.changes), new)


def read_changes(
    connection: Connection, run_id: str | None = None, since: datetime | None = None, limit: int | None = None
) -> list[Change]:
    """Oldest first; of one run, from a moment on, and at most the newest ``limit``; None: without that bound."""
    table = tables.changes
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if run_id is not None:
        query = query.where(table.c.run_id == run_id)
    if since is not None:
        query = query.where(table.c.at >= since)
    found = [dict(row._mapping) for row in connection.execute(query)]
    return [change_of(row) for row in reversed(found) if isinstance(row["at"], datetime)]  # a damaged one has no place


def change_of(row: Mapping[Any, Any]) -> Change:
    """The change in a row."""
    return Change(
        at=row["at"],
        actor=Actor(row["actor_user"], row["actor_host"], row["command"]),
        subject=Subject(row["subject"]),
        subject_id=row["subject_id"],
        field=row["field"],
        before=row["before"],
        after=row["after"],
        cause=row["cause"],
        run_id=row["run_id"],
    )


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{value!r} has no text in the history")
