"""From an attempt's events to what the engine says of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...node_agent.events import NodeEvent
from ..base import EndCause, Observation, Phase


def has_ended(events: Sequence[NodeEvent]) -> bool:
    return any(event.name == "ended" for event in events)


def observation(events: Sequence[NodeEvent]) -> Observation:
    """What these events say. Without ``launched`` nothing is billed and the cause is NO_CAPACITY."""
    first = {event.name: event for event in reversed(events)}
    times = {name: event.time for name, event in first.items()}
    if "ended" not in first:
        return Observation(Phase.RUNNING if "started" in first else Phase.PROVISIONING, *_times(times))
    end = first["ended"].data
    return Observation(
        Phase.ENDED,
        *_times(times),
        ended_at=times["ended"],
        cause=EndCause(end["cause"]),
        exit_code=end.get("exit_code"),
        message=end.get("message", ""),
    )


def settled(asked_at: datetime, events: Sequence[NodeEvent], last_beat: datetime | None) -> NodeEvent:
    """The end of an attempt whose node is gone without a word, at the last moment the node was known to live."""
    launched = any(event.name == "launched" for event in events)
    cause = EndCause.VANISHED if launched else EndCause.NO_CAPACITY
    message = "the machine went away without a word" + ("" if launched else " before it was up")
    beats = [last_beat] if last_beat and events else []  # without events the lock is an observer's, not a node's
    ended_at = max([asked_at, *beats, *(event.time for event in events)])
    return NodeEvent("ended", ended_at, {"cause": cause.value, "exit_code": None, "message": message})


def sessions(events: Sequence[NodeEvent]) -> dict[int, float]:
    """The sessions its scripts ran in: the leader's pid -> when it was created, seconds since the epoch."""
    return {event.data["pid"]: event.data["created"] for event in events if "created" in event.data}


def _times(times: dict[str, datetime]) -> tuple[datetime | None, datetime | None, datetime | None]:
    return times.get("launched"), times.get("started"), times.get("notice")
