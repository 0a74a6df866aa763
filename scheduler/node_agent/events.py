"""An attempt's events as its engine writes them: append-only JSON lines that outlive every process, with one writer.

Names, in the order they happen: ``asked``, ``launched`` (the capacity is there: billing starts), ``setup``, ``started``
(the command runs), ``notice`` (preemption), ``terminating``, ``ended`` (billing ended, nothing runs any more; with
``cause``, ``exit_code``, ``message``). An engine may add names of its own.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """One thing that happened to an attempt, and when."""

    name: str
    time: datetime
    data: dict[str, Any]


def append_event(path: Path, event: NodeEvent) -> None:
    """Append durably. A torn last line, left by a crash, is closed first and stays unread."""
    line = json.dumps({"event": event.name, "time": event.time.isoformat(), **event.data}).encode() + b"\n"
    with path.open("ab+") as log:
        if log.tell() > 0:
            log.seek(-1, os.SEEK_END)
            line = line if log.read(1) == b"\n" else b"\n" + line
        log.write(line)
        log.flush()
        os.fsync(log.fileno())


def read_events(path: Path) -> list[NodeEvent]:
    """Every whole event; empty where nothing was written. Torn or foreign lines are skipped."""
    try:
        return parse_events(path.read_bytes())
    except FileNotFoundError:
        return []


def parse_events(data: bytes) -> list[NodeEvent]:
    """The whole events in a file's bytes. Torn or foreign lines are skipped."""
    return [event for event in map(_parse, data.splitlines()) if event is not None]


def _parse(line: bytes) -> NodeEvent | None:
    try:
        record = json.loads(line)
        name, time = record.pop("event"), datetime.fromisoformat(record.pop("time")).astimezone(UTC)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return NodeEvent(name, time, record)
