"""An attempt's folder: all that the engine and the attempt's node know of each other. Either may die at any moment.

- ``request.json``: what to run, and when the market gives and takes the machine; the first one written stays.
- ``terminate.json``: somebody wants the attempt to end; before a request it means that the attempt never starts.
- ``events.jsonl``: what happened. ``log.txt``: what the program printed. ``node.txt``: faults of the node itself.
- ``node.lock``: locked by the node as long as it lives; its time of change is the node's heartbeat.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from spotwise.checkpoints.atomic_file import write_atomic
from spotwise.checkpoints.json_lines import SkippedLines
from spotwise.checkpoints.strict_json import Fields, UnreadableError

from ...core.errors import EngineError
from ...node_agent.events import NodeEvent, read_events
from ...node_agent.message_format import FORMAT
from ...node_agent.steady_clock import boot_id
from ...node_agent.task import LONGEST_GRACE_S

OWNER_ONLY = 0o600  # permissions of what the engine writes


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What a node has to do. Without the job's environment: that may hold secrets and never touches the disk."""

    attempt_id: str
    pool: str  # for messages
    setup: str
    command: str
    workdir: str
    asked_at: datetime
    capacity_at: datetime  # the machine is up from here; billing starts
    notice_at: datetime | None  # the market wants the machine back; None: never
    grace_s: float  # wall-clock seconds between that notice and the kill
    stop_at: datetime | None = None  # the budget is spent: save and leave, whoever watches
    stop_grace_s: float = 0.0
    asked_at_steady_s: float | None = None  # what the machine's steady clock showed at ``asked_at`` ...
    boot: str = ""  # ... and since which boot

    @property
    def clock_set_at(self) -> tuple[datetime, float] | None:
        """By what a node goes on with the scheduler's clock; None once the machine has booted anew."""
        if self.asked_at_steady_s is None or not self.boot or self.boot != boot_id():
            return None
        return self.asked_at, self.asked_at_steady_s

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=datetime.isoformat, indent=1)

    @staticmethod
    def from_json(text: str) -> NodeRequest:
        """Raises UnreadableError."""
        fields = Fields.of(text)
        return NodeRequest(
            attempt_id=fields.text("attempt_id"),
            pool=fields.text("pool"),
            setup=fields.text("setup"),
            command=fields.text("command"),
            workdir=fields.text("workdir"),
            asked_at=fields.moment("asked_at"),
            capacity_at=fields.moment("capacity_at"),
            notice_at=fields.optional_moment("notice_at"),
            grace_s=fields.number("grace_s", low=0),
            stop_at=fields.optional_moment("stop_at"),
            stop_grace_s=fields.number("stop_grace_s", 0.0, low=0),
            asked_at_steady_s=fields.optional_number("asked_at_steady_s"),
            boot=fields.text("boot", ""),
        )


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """Paths and durable facts of one attempt."""

    path: Path

    @staticmethod
    def of(run_folder: str, attempt_id: str) -> AttemptFolder:
        return AttemptFolder(Path(run_folder).resolve() / "attempts" / attempt_id)

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "log.txt"

    @property
    def node_log_path(self) -> Path:
        return self.path / "node.txt"

    @property
    def request_path(self) -> Path:
        return self.path / "request.json"

    @property
    def terminate_path(self) -> Path:
        return self.path / "terminate.json"

    @property
    def lock_path(self) -> Path:
        return self.path / "node.lock"

    def events(self, skipped: SkippedLines | None = None) -> list[NodeEvent]:
        return read_events(self.events_path, skipped)

    def request(self) -> NodeRequest | None:
        """Raises EngineError if the file is damaged; it is written whole, so something else did that."""
        try:
            text = _read(self.request_path)
            return None if text is None else NodeRequest.from_json(text)
        except UnreadableError as error:
            raise EngineError(f"{self.request_path} is damaged ({error}); restore it or cancel the run") from error

    def ask_to_terminate(self, grace_s: float) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomic(self.terminate_path, json.dumps({"grace_s": grace_s, "format": FORMAT}), mode=OWNER_ONLY)

    def terminate_grace_s(self) -> float | None:
        """Grace of the latest request to stop, seconds; None without one. A damaged one still is one: 0."""
        try:
            text = _read(self.terminate_path)
            return None if text is None else Fields.of(text).number("grace_s", low=0, high=LONGEST_GRACE_S)
        except UnreadableError:
            return 0.0

    def asked_at(self) -> datetime | None:
        """When the attempt was asked for; None if it never was. By the file's own time where its text is damaged."""
        try:
            request = self.request()
            return None if request is None else request.asked_at
        except EngineError:
            return datetime.fromtimestamp(self.request_path.stat().st_mtime, UTC)

    def beat(self, moment: datetime) -> None:
        stamp_ns = int(moment.timestamp() * 1_000_000) * 1_000
        os.utime(self.lock_path, ns=(stamp_ns, stamp_ns))

    def last_beat(self) -> datetime | None:
        try:
            stamp_us = self.lock_path.stat().st_mtime_ns // 1_000
        except FileNotFoundError:
            return None
        return datetime.fromtimestamp(stamp_us / 1_000_000, UTC)

    def try_lock(self) -> int | None:
        """Lock the attempt; the file descriptor to `unlock`, or None while a node (or another observer) holds it."""
        handle = os.open(self.lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        return handle


def unlock(handle: int) -> None:
    """Release at once, even if a process being started shares the descriptor for an instant."""
    fcntl.flock(handle, fcntl.LOCK_UN)
    os.close(handle)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return None
