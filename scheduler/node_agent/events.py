"""An attempt's events as its engine writes them: append-only JSON lines that outlive every process, with one writer.

One line is one event: ``event`` (a value of `NodeEventName`), ``time``, ``format``, and what belongs to that event. A
reader passes over names that it does not know: a newer node may write more of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from spotwise.checkpoints.json_lines import SkippedLines, append_line, decode_lines
from spotwise.checkpoints.strict_json import LARGEST_SMALL, Fields

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


def read_events(path: Path, skipped: SkippedLines | None = None) -> list[NodeEvent]:
    """Every whole event; empty where nothing was written. Torn and foreign lines are skipped; ``skipped`` is told."""
    try:
        return parse_events(path.read_bytes(), skipped)
    except FileNotFoundError:
        return []


def parse_events(data: bytes, skipped: SkippedLines | None = None) -> list[NodeEvent]:
    """The whole events in a file's bytes. Torn or foreign lines are skipped, and ``skipped`` is told."""
    return decode_lines(data, _event_from, skipped)


def _event_from(fields: Fields) -> NodeEvent:
    name, time = fields.text("event"), fields.moment("time")
    found_format = fields.whole("format", FORMAT)
    if found_format <= FORMAT:
        _check_data(name, fields)
    data = {key: value for key, value in fields.all.items() if key not in ("event", "time", "format")}
    return NodeEvent(name, time, format=found_format, data=data)


def _check_data(name: str, fields: Fields) -> None:
    """Raises UnreadableError for an event that lacks what is read of it."""
    if name == NodeEventName.ENDED:
        fields.text("cause")  # which one may be a newer version's
        fields.optional_whole("exit_code", low=-LARGEST_SMALL)
        fields.text("message", "")
    if "created" in fields:
        fields.whole("pid", low=1)
        fields.number("created", low=0)
