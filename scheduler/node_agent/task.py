"""What the scheduler asks of an attempt's nodes (``request.json``), and what they are told later: for how long the
money lasts where a machine costs more than was known (``limit.json``), and to stop (``terminate.json``).

All lie in ``attempts/<attempt id>/`` below the run's URL. None holds the job's environment: that may hold secrets,
and reaches the nodes through the engine.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from spotwise.checkpoints.errors import CheckpointError
from spotwise.checkpoints.strict_json import Fields, UnreadableError

from .log_message import StorageNotSeen
from .message_format import FORMAT

LONGEST_GRACE_S = 1e6  # seconds


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
            fields = Fields.of(data)
            if fields.all.get("format") != FORMAT:
                raise UnreadableError(f"format is {fields.all.get('format')!r}, not {FORMAT}")
            return cls(
                attempt_id=fields.text("attempt_id"),
                run_id=fields.text("run_id"),
                asked_at=fields.moment("asked_at"),
                setup=fields.text("setup"),
                command=fields.text("command"),
                nodes=fields.whole("nodes", 1, low=1),
                hosts=fields.whole("hosts", 1, low=1),
                cloud=fields.text("cloud", ""),
                is_spot=fields.flag("is_spot", True),
                stop_after_s=fields.optional_number("stop_after_s"),
                stop_grace_s=fields.number("stop_grace_s", 0.0, low=0),
            )
        except UnreadableError as error:
            raise NodeTaskError(f"{source} is no request for a node ({error}); cancel the run, submit again") from error


@dataclass(frozen=True, slots=True)
class SpendingLimit:
    """For how long the money lasts, at the price of where the machines came up."""

    stop_after_s: float  # seconds from the agent's start, in place of the request's where it is less

    def to_json(self) -> str:
        return json.dumps({"stop_after_s": self.stop_after_s, "format": FORMAT})

    @classmethod
    def from_json(cls, data: bytes | str) -> SpendingLimit | None:
        """None for what is none: the request's own limit holds."""
        try:
            return cls(Fields.of(data).number("stop_after_s"))
        except UnreadableError:
            return None


@dataclass(frozen=True, slots=True)
class StopRequest:
    """The scheduler wants the attempt to end."""

    asked_at: datetime
    grace_s: float

    @property
    def deadline(self) -> datetime:
        """When it must be gone."""
        return self.asked_at + timedelta(seconds=min(self.grace_s, LONGEST_GRACE_S))

    def to_json(self) -> str:
        return json.dumps({"asked_at": self.asked_at.isoformat(), "grace_s": self.grace_s, "format": FORMAT})

    @classmethod
    def from_json(cls, data: bytes | str, *, seen_at: datetime) -> StopRequest:
        """A damaged one still is one, and so is one of a newer format that cannot be read: without grace, as of now."""
        try:
            fields = Fields.of(data)
            return cls(fields.moment("asked_at"), fields.number("grace_s", low=0, high=LONGEST_GRACE_S))
        except UnreadableError:
            return cls(seen_at, 0.0)
