"""An attempt's events as its engine writes them: append-only JSON lines that outlive every process, with one writer.

One line is one event: ``event`` (a value of `NodeEventName`), ``time``, ``format``, and what belongs to that event. A
reader passes over names that it does not know: a newer node may write more of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from spotwise.checkpoints.json_lines import append_line, decode_lines

from .message_format import FORMAT


class NodeEventName(StrEnum):
    """What happens to an attempt, in this order."""

    ASKED = "asked"  # the local engine's node has begun and waits for its capacity
    UP = "up"  # an agent elsewhere has begun
    LAUNCHED = "launched"  # the local engine's capacity is there: billing starts
    SETUP = "setup"  # the setup command runs
    STARTED = "started"  # the run command runs
    REBALANCE = "rebalance"  # the cloud recommends to leave soon: a checkpoint was asked for
    NOTICE = "notice"  # of preemption
    TERMINATING = "terminating"  # it was told to save and leave
    ENDED = "ended"  # nothing runs any more, billing ends; holds `ProgramEnd`


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """One thing that happened to an attempt, and when."""

    name: str  # a value of NodeEventName, of an engine's own journal, or of a newer version
    time: datetime
    data: dict[str, Any]
    format: int = FORMAT


def append_event(path: Path, event: NodeEvent) -> None:
    """Append durably. A torn last line, left by a crash, is ended first and stays unread."""
    values = {"event": event.name, "time": event.time.isoformat(), "format": event.format, **event.data}
    append_line(path, json.dumps(values).encode(), durable=True)


def read_events(path: Path) -> list[NodeEvent]:
    """Every whole event; empty where nothing was written. Torn or foreign lines are skipped."""
    try:
        return parse_events(path.read_bytes())
    except FileNotFoundError:
        return []


def parse_events(data: bytes) -> list[NodeEvent]:
    """The whole events in a file's bytes. Torn or foreign lines are skipped."""
    return decode_lines(data, _event_from)


def _event_from(values: Any) -> NodeEvent:
    name, time = values.pop("event"), datetime.fromisoformat(values.pop("time")).astimezone(UTC)
    return NodeEvent(name, time, format=values.pop("format", FORMAT), data=values)
