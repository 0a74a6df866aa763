"""What the scheduler asks of an attempt's nodes (``request.json``), and how they are told to stop (``terminate.json``).

Both lie in ``attempts/<attempt id>/`` below the run's URL. Neither holds the job's environment: that may hold secrets,
and reaches the nodes through the engine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from spotwise.checkpoints.errors import CheckpointError

from .log_message import StorageNotSeen
from .message_format import FORMAT

_LONGEST_GRACE_S = 1e6


class NodeTaskError(CheckpointError):
    """A node's request or environment cannot be used; nothing was run."""


class StorageNotSeenError(NodeTaskError):
    """The node finds no request where its run's files should be."""

    def __init__(self, report: StorageNotSeen) -> None:
        super().__init__(f"nobody asks for this attempt: {report.node} sees no {report.file}")
        self.report = report


@dataclass(frozen=True, slots=True)
class NodeTask:
    """One attempt, as its nodes see it."""

    attempt_id: str
    run_id: str
    asked_at: datetime
    setup: str  # shell script, "" for none; runs on every node
    command: str  # shell script; runs on every node
    nodes: int = 1
    hosts: int = 1  # sweep hosts of the run that exchange their study
    cloud: str = ""  # whose preemption notices are listened to
    is_spot: bool = True  # whether SIGTERM from outside means that the market took the machine
    stop_after_s: float | None = None  # seconds from the agent's start: the budget is spent, whoever watches
    stop_grace_s: float = 0.0
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=datetime.isoformat, indent=1)

    @classmethod
    def from_json(cls, data: bytes | str, *, source: str) -> NodeTask:
        """Raises `NodeTaskError` for what is none, and for one of a newer format."""
        try:
            fields: dict[str, Any] = json.loads(data)
            if fields.get("format") != FORMAT:
                raise ValueError(f"format is {fields.get('format')!r}, not {FORMAT}")
            fields["asked_at"] = datetime.fromisoformat(fields["asked_at"]).astimezone(UTC)
            return cls(**fields)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise NodeTaskError(f"{source} is no request for a node ({error}); cancel the run, submit again") from error


@dataclass(frozen=True, slots=True)
class StopRequest:
    """The scheduler wants the attempt to end."""

    asked_at: datetime
    grace_s: float

    @property
    def deadline(self) -> datetime:
        """When it must be gone."""
        return self.asked_at + timedelta(seconds=min(self.grace_s, _LONGEST_GRACE_S))

    def to_json(self) -> str:
        return json.dumps({"asked_at": self.asked_at.isoformat(), "grace_s": self.grace_s, "format": FORMAT})

    @classmethod
    def from_json(cls, data: bytes | str, *, seen_at: datetime) -> StopRequest:
        """A damaged one still is one, and so is one of a newer format that cannot be read: without grace, as of now."""
        try:
            fields = json.loads(data)
            asked_at, grace_s = datetime.fromisoformat(fields["asked_at"]).astimezone(UTC), float(fields["grace_s"])
            if not 0 <= grace_s <= _LONGEST_GRACE_S:
                raise ValueError(f"grace_s is {grace_s}")
        except (ValueError, KeyError, TypeError):
            return cls(seen_at, 0.0)
        return cls(asked_at, grace_s)
