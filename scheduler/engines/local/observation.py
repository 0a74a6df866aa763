"""From an attempt's events to what the engine says of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...node_agent.end_cause import EndCause
from ...node_agent.events import NodeEvent, NodeEventName
from ...node_agent.program_end import ProgramEnd
from ..base import Observation, Phase


def has_ended(events: Sequence[NodeEvent]) -> bool:
    """Whether the events tell the end of their attempt."""
    return any(event.name == NodeEventName.ENDED for event in events)


def observation(events: Sequence[NodeEvent]) -> Observation:
    """What these events say. Without ``launched`` nothing is billed.

    Raises:
        NodeMessageError: a newer spotwise wrote them.
    """
    first = {event.name: event for event in reversed(events)}
    times = {name: event.time for name, event in first.items()}
    if NodeEventName.ENDED not in first:
        phase = Phase.RUNNING if NodeEventName.STARTED in first else Phase.PROVISIONING
        return Observation(phase, *_times(times))
    end = ProgramEnd.from_event(first[NodeEventName.ENDED])
    return Observation(
        Phase.ENDED,
        *_times(times),
        ended_at=end.at,
        cause=end.cause,
        exit_code=end.exit_code,
        message=end.message,
    )


def settled(asked_at: datetime, events: Sequence[NodeEvent], last_beat: datetime | None) -> NodeEvent:
    """The end of an attempt whose node is gone without a word, at the last moment the node was known to live."""
    launched = any(event.name == NodeEventName.LAUNCHED for event in events)
    cause = EndCause.VANISHED if launched else EndCause.NO_CAPACITY
    message = "the machine went away without a word" + ("" if launched else " before it was up")
    beats = [last_beat] if last_beat and events else []  # without events the lock is an observer's, not a node's
    ended_at = max([asked_at, *beats, *(event.time for event in events)])
    end = ProgramEnd(cause, ended_at, None, message)
    return NodeEvent(NodeEventName.ENDED, end.at, end.event_data())


def never_started(asked_at: datetime) -> NodeEvent:
    """The end of an attempt whose node could not be started: a node that comes late finds it and leaves."""
    end = ProgramEnd(EndCause.LAUNCH_FAILED, asked_at, None, "its node did not start")
    return NodeEvent(NodeEventName.ENDED, end.at, end.event_data())


def sessions(events: Sequence[NodeEvent]) -> dict[int, float]:
    """The sessions its scripts ran in: the leader's pid -> when it was created, seconds since the epoch."""
    return {event.data["pid"]: event.data["created"] for event in events if "created" in event.data}


def _times(times: dict[str, datetime]) -> tuple[datetime | None, datetime | None, datetime | None]:
    return times.get(NodeEventName.LAUNCHED), times.get(NodeEventName.STARTED), times.get(NodeEventName.NOTICE)
