"""What an attempt has at its run's URL: requests to its nodes, the engine's own journal; and what comes back.

Everything lies in ``attempts/<attempt id>/``. The journal, ``engine.jsonl``, is all that a supervisor that starts anew
knows of an attempt: what SkyPilot was asked to do, and what was decided. Its one writer is the supervisor that holds
the run.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any

from spotwise.checkpoints import CheckpointError, Storage, storage_for
from spotwise.checkpoints.json_lines import SkippedLines, first_skipped
from spotwise.checkpoints.strict_json import LARGEST_SMALL, Fields, UnreadableError

from ...node_agent.end_cause import EndCause
from ...node_agent.events import NodeEvent, parse_events
from ...node_agent.message_format import NodeMessageError
from ...node_agent.task import NodeTask, SpendingLimit, StopRequest
from ..base import Handle, Observation, Phase
from .decide import EndInProgress
from .sky import Landing

FAULTS = (OSError, CheckpointError)  # what files at a URL may raise
_TIMES = ("launched_at", "started_at", "notice_at", "ended_at")


class JournalEntry(StrEnum):
    """What the engine writes down of an attempt."""

    LAUNCHING = "launching"  # SkyPilot was asked for it
    UP = "up"  # its cluster is up: billing has begun
    LANDED = "landed"  # where it came up, and what it costs there
    LEAVING = "leaving"  # it is over, for this reason; its cluster may still be there
    DOWN = "down"  # SkyPilot was asked to end its cluster
    ENDED = "ended"  # nothing of it is left: what it is seen as for ever


@dataclass(frozen=True, slots=True)
class Journal:
    """The engine's own record of an attempt, folded."""

    launch: str = ""  # id of the newest launch request
    launched_at: datetime | None = None  # when that was asked for
    launches: int = 0
    offered: Decimal | None = None  # the catalog's price of the region; None: the price is no question of the zone
    up_at: datetime | None = None
    landing: Landing | None = None
    leaving: EndInProgress | None = None
    down: str = ""  # id of the newest request to end the cluster
    down_at: datetime | None = None  # when that was asked for
    ended: Observation | None = None

    def after(self, event: NodeEvent) -> Journal:
        """This journal with one more entry; entries of newer versions are passed over.

        Raises:
            UnreadableError: the entry lacks what belongs to it.
        """
        fields, changed = Fields(event.data), self
        match event.name:
            case JournalEntry.LAUNCHING:
                changed = replace(self, launch=fields.text("request"), launched_at=event.time)
                changed = replace(changed, launches=self.launches + 1, offered=_price(fields))
            case JournalEntry.UP:
                changed = replace(self, up_at=fields.moment("at"))
            case JournalEntry.LANDED:
                changed = replace(self, landing=Landing(fields.text("zone"), _price(fields)))
            case JournalEntry.LEAVING:
                changed = replace(self, leaving=_leaving(fields))
            case JournalEntry.DOWN:
                changed = replace(self, down=fields.text("request"), down_at=event.time)
            case JournalEntry.ENDED:
                changed = replace(self, ended=_observation(fields))
        return changed


class AttemptFiles:
    """One attempt's files, from the scheduler's side. Methods raise OSError or StorageError where the place is away."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._storage = storage_for(handle.run_url or handle.folder)
        self._path = f"attempts/{handle.attempt_id}"
        self._stop_request_seen_at: datetime | None = None
        self._skipped: dict[str, SkippedLines] = {}  # by file: lines that could not be read

    @property
    def storage(self) -> Storage:
        return self._storage

    def task(self) -> NodeTask | None:
        """What its nodes were asked to do; None if it was never launched."""
        data = self._read("request.json")
        return (
            None if data is None else NodeTask.from_json(data, source=f"{self._storage.url}/{self._path}/request.json")
        )

    def ask(self, task: NodeTask) -> None:
        """Write the request unless there is one."""
        if self._read("request.json") is None:
            self._storage.put(f"{self._path}/request.json", task.to_json().encode())

    def stop_request(self, now: datetime) -> StopRequest | None:
        """A damaged one is of when it was first seen: else it would be new for ever, and never run out."""
        data = self._read("terminate.json")
        if data is None:
            return None
        self._stop_request_seen_at = self._stop_request_seen_at or now
        return StopRequest.from_json(data, seen_at=self._stop_request_seen_at)

    def request_stop(self, stop_request: StopRequest) -> None:
        self._storage.put(f"{self._path}/terminate.json", stop_request.to_json().encode())

    def limit(self, limit: SpendingLimit) -> None:
        """Tell its nodes for how long the money lasts, now that the price is known."""
        self._storage.put(f"{self._path}/limit.json", limit.to_json().encode())

    def events(self) -> list[NodeEvent]:
        """What its first node's agent wrote down."""
        skipped = self._skipped["events.jsonl"] = SkippedLines()
        return parse_events(self._read("events.jsonl") or b"", skipped)

    @property
    def unreadable(self) -> str:
        """Which lines of it could not be read, for people; "" where all could."""
        return first_skipped({f"{self._path}/{name}": lines for name, lines in self._skipped.items()})

    def sign_of_life(self) -> bytes:
        """Changes as long as the first node's agent lives; empty before it is up."""
        return self._read("node-0.json") or b""

    def journal(self) -> Journal:
        journal, skipped = Journal(), SkippedLines()
        self._skipped["engine.jsonl"] = skipped
        for event in parse_events(self._read("engine.jsonl") or b"", skipped):
            try:
                journal = journal.after(event)
            except UnreadableError as fault:
                skipped.count(fault)
        return journal

    def note(self, name: JournalEntry, now: datetime, **data: Any) -> NodeEvent:
        """Add an entry to the journal."""
        line = json.dumps({"event": name, "time": now.isoformat(), **data})
        self._storage.append_line(f"{self._path}/engine.jsonl", line.encode())
        return NodeEvent(name, now, data)

    def _read(self, name: str) -> bytes | None:
        try:
            return self._storage.read(f"{self._path}/{name}")
        except FileNotFoundError:
            return None


class LocalCopy:
    """Keeps what nodes write at the run's URL in the run's folder here, where everything else reads it.

    Files only grow, so what is new is what lies beyond the end of the copy.
    """

    def __init__(self, handle: Handle) -> None:
        self._folder = Path(handle.folder)
        self._storage = storage_for(handle.run_url or handle.folder)
        self._attempt = f"attempts/{handle.attempt_id}"
        self._is_same = self._storage.url == str(self._folder.absolute())

    def sync(self) -> None:
        """Bring what is new. Raises OSError or StorageError."""
        if self._is_same:
            return
        for folder in (self._attempt, "study", "trials"):
            for name, size in self._storage.files(folder).items():
                if name.endswith(".jsonl") and size > self._here(name):
                    self._append(name)
                elif name.endswith(".txt") and size > self._here(name):
                    with suppress(*FAULTS):  # a log is for people: no run waits for one that cannot be read
                        self._append(name)
        with suppress(FileNotFoundError):
            if self._storage.size("progress.jsonl") > self._here("progress.jsonl"):
                self._append("progress.jsonl")

    def bring_log(self, node: int) -> Path:
        """The newest that a node of the attempt has printed: the copy's path."""
        name = f"{self._attempt}/log-{node}.txt"
        with suppress(FileNotFoundError):
            if not self._is_same and self._storage.size(name) > self._here(name):
                self._append(name)
        return self._folder / name

    def _append(self, name: str) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # a supervisor that lost the run may still be at it
            with suppress(FileNotFoundError):
                file.write(self._storage.read(name, file.seek(0, os.SEEK_END)))

    def _here(self, name: str) -> int:
        path = self._folder / name
        return path.stat().st_size if path.exists() else 0


def written(leaving: EndInProgress) -> dict[str, Any]:
    """What the journal's entry ``leaving`` holds."""
    return {**asdict(leaving), "cause": leaving.cause.value, "at": leaving.at.isoformat()}


def written_end(end: Observation) -> dict[str, Any]:
    """What the journal's entry ``ended`` holds."""
    times = {name: _text(getattr(end, name)) for name in _TIMES}
    where = {"zone": end.zone, "price_usd_per_hour": written_price(end.price_usd_per_hour)}
    return {
        **times,
        **where,
        "cause": end.cause and end.cause.value,
        "exit_code": end.exit_code,
        "message": end.message,
    }


def written_price(price: Decimal | None) -> str:
    """A price as the journal holds it; "": none."""
    return "" if price is None else str(price)


def _leaving(fields: Fields) -> EndInProgress:
    return EndInProgress(
        _cause(fields),
        fields.moment("at"),
        fields.optional_whole("exit_code", low=-LARGEST_SMALL),
        fields.text("message", ""),
        fields.flag("is_away", False),
    )


def _price(fields: Fields) -> Decimal | None:
    """Of one node; None where it was not known, or kept by no version before."""
    text = fields.text("price_usd_per_hour", "")
    try:
        found = Decimal(text) if text else None
    except InvalidOperation as error:
        raise UnreadableError(f"price_usd_per_hour is {text!r}") from error
    return None if found is None or not found.is_finite() or found <= 0 else found


def _cause(fields: Fields) -> EndCause:
    """Raises NodeMessageError for one that a newer spotwise wrote: that entry must not be passed over."""
    found = fields.text("cause")
    try:
        return EndCause(found)
    except ValueError as error:
        raise NodeMessageError(f"its journal has the cause {found!r}, which this spotwise does not know") from error


def _observation(fields: Fields) -> Observation:
    launched_at, started_at, notice_at, ended_at = (fields.optional_moment(name) for name in _TIMES)
    return Observation(
        Phase.ENDED,
        launched_at=launched_at,
        started_at=started_at,
        notice_at=notice_at,
        ended_at=ended_at,
        cause=_cause(fields),
        exit_code=fields.optional_whole("exit_code", low=-LARGEST_SMALL),
        message=fields.text("message", ""),
        zone=fields.text("zone", ""),
        price_usd_per_hour=_price(fields),
    )


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
