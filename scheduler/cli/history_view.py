"""The history of money and states, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..store import Change
from ..store.schema import SchemaChange


def print_changes(changes: Sequence[Change], console: Console) -> None:
    """One line a change, oldest first."""
    if not changes:
        console.print("nothing has changed")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("when (UTC)", "who", "what", "from", "to", "why"):
        table.add_column(name, overflow="fold")
    for change in changes:
        who = f"{change.actor.user}@{change.actor.host} {change.actor.command}".strip(" @")
        what = f"{change.subject.value} {change.subject_id}: {change.field}"
        cells = (who, what, change.before or "", change.after or "", change.cause)
        table.add_row(f"{change.at:%Y-%m-%d %H:%M:%S}", *(escape(cell) for cell in cells))
    console.print(table)


def changes_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Stable keys; money as decimal strings, times ISO 8601 UTC; null: there was none, or it is gone."""
    return [
        {
            "at": change.at.isoformat(),
            "user": change.actor.user,
            "host": change.actor.host,
            "command": change.actor.command,
            "run": change.run_id,
            "subject": change.subject.value,
            "id": change.subject_id,
            "field": change.field,
            "before": change.before,
            "after": change.after,
            "cause": change.cause,
        }
        for change in changes
    ]


def migrated_text(schema: SchemaChange) -> str:
    """What opening the store did to its schema."""
    if schema.before is None:
        return f"a new store was made, of schema {schema.after}"
    if schema.before == schema.after:
        return f"the store is of schema {schema.after}, this version's: nothing to do"
    return f"the store was upgraded from schema {schema.before} to schema {schema.after}"
