"""Study events: what happened to the trials of a sweep, as append-only JSON lines, one file an attempt.

The events are the only truth of a sweep. A host that starts, again or elsewhere, folds them (``study_state.py``) and
goes on; nothing else needs to survive, so it may be killed at any moment. Each file has one writer, and a line counts
only when it is whole: the writer syncs every line before anything is done that the line speaks of. Of several hosts at
work each writes only of trials of its own, so the order of files does not matter but for the attempts of one host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

from spotwise.checkpoints.json_lines import LogTail, SkippedLines, append_line, decode_lines
from spotwise.checkpoints.storage import LocalStorage
from spotwise.checkpoints.strict_json import Fields, UnreadableError

from .early_end import EarlyEndCause


class EndState(StrEnum):
    """How a trial's hold of capacity ended."""

    COMPLETED = "completed"
    PRUNED = "pruned"  # early stopping
    FAILED = "failed"  # its program crashed or reported nothing
    PAUSED = "paused"  # it will be continued: the host is preempted, or its process was
    FROZEN = "frozen"  # set aside with all it has learned: others promise more, and it may be continued


@dataclass(frozen=True, slots=True)
class Asked:
    """A configuration was proposed; its number is taken from here on."""

    time: datetime
    attempt: int
    trial: int
    params: dict[str, Any]
    source: str  # "prior", "sampler" or "grid"
    note: str = ""
    host: int = 0  # whose trial it is, of all hosts at work


@dataclass(frozen=True, slots=True)
class Started:
    """A process holds capacity from here: the first start or a resume."""

    time: datetime
    attempt: int
    trial: int
    share: Fraction


@dataclass(frozen=True, slots=True)
class Reported:
    """An epoch is done. ``value`` is None where the metric was not a finite number."""

    time: datetime
    attempt: int
    trial: int
    epoch: int
    value: float | None


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """The process of a trial is gone."""

    time: datetime
    attempt: int
    trial: int
    state: EndState
    value: float | None
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A host's share of the sweep is complete: all of it, where there is one host."""

    time: datetime
    attempt: int
    host: int = 0
    reason: str = ""  # where it ended before all its trials were tried
    cause: EarlyEndCause | None = None  # the same as a value


StudyEvent = Asked | Started | Reported | TrialEnded | Finished

_TYPES: dict[str, type[StudyEvent]] = {
    "asked": Asked,
    "started": Started,
    "reported": Reported,
    "ended": TrialEnded,
    "finished": Finished,
}
_SHARE = re.compile(r"\d{1,9}(/[1-9]\d{0,8})?")
_NAMES = {kind: name for name, kind in _TYPES.items()}


def event_to_json(event: StudyEvent) -> dict[str, Any]:
    """The event as its JSON object."""
    fields = {name: getattr(event, name) for name in event.__dataclass_fields__}
    fields["time"] = event.time.isoformat()
    if isinstance(event, Started):
        fields["share"] = str(event.share)
    return {"event": _NAMES[type(event)], **fields}


def event_from_json(data: Mapping[str, Any]) -> StudyEvent:
    """The event of a JSON object. Unknown keys are ignored, so that older readers accept newer files.

    Raises:
        UnreadableError: it is no study event.
    """
    return _event_from(Fields(data))


def _event_from(fields: Fields) -> StudyEvent:
    kind = _TYPES.get(fields.text("event"))
    time, attempt = fields.moment("time"), fields.whole("attempt")
    if kind is Finished:
        reason = fields.text("reason", "")
        return Finished(time, attempt, fields.whole("host", 0), reason, _early_end_cause(fields, reason))
    trial = fields.whole("trial")
    if kind is Asked:
        source, note, host = fields.text("source"), fields.text("note", ""), fields.whole("host", 0)
        return Asked(time, attempt, trial, fields.object("params"), source, note, host)
    if kind is Started:
        return Started(time, attempt, trial, _share(fields.text("share")))
    if kind is Reported:
        return Reported(time, attempt, trial, fields.whole("epoch"), fields.optional_number("value"))
    if kind is TrialEnded:
        state, value = fields.member("state", EndState), fields.optional_number("value")
        return TrialEnded(time, attempt, trial, state, value, fields.whole("epoch", 0), fields.text("reason", ""))
    raise UnreadableError("'event' is none of a study's")


def _share(text: str) -> Fraction:
    if _SHARE.fullmatch(text) is None or not 0 < (share := Fraction(text)) <= 1:
        raise UnreadableError("'share' is no share of one, such as 1/4")
    return share


def _early_end_cause(fields: Fields, reason: str) -> EarlyEndCause | None:
    """Versions before knew one cause, and wrote only its text. What only a newer version knows says nothing here."""
    written = fields.optional_text("cause")
    if written is None:
        return EarlyEndCause.NOT_WORTH_MORE if reason else None
    return next((cause for cause in EarlyEndCause if cause == written), None)


class StudyLog:
    """Appends one host's events. Only one process may write one file."""

    def __init__(self, folder: Path, attempt: int, publish: Callable[[str, bytes], None] | None = None) -> None:
        """``folder`` is the study's folder; ``attempt`` the number of the attempt that the host runs in.

        ``publish`` gets the file's name and content after each event, where this disk does not outlive the host: an
        event that is nowhere else when the machine is taken never happened, and its trial's number is given out again.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"host-{attempt}.jsonl"
        self._publish = publish

    def append(self, event: StudyEvent) -> None:
        """Write the event; when this returns, it is on disk, and published."""
        line = json.dumps(event_to_json(event), separators=(",", ":"), allow_nan=False)
        append_line(self.path, line.encode(), durable=True)
        if self._publish is not None:
            self._publish(self.path.name, self.path.read_bytes())


def read_events(folder: Path, skipped: dict[str, SkippedLines] | None = None) -> Iterator[StudyEvent]:
    """All events, attempt after attempt: of each trial in the order in which they happened.

    Args:
        skipped: gets, by file name, the lines that were no events.
    """
    for path in host_files(folder):
        lines = SkippedLines()
        yield from parse_events(path.read_bytes(), lines)
        if skipped is not None:
            skipped[path.name] = lines


def parse_events(data: bytes, skipped: SkippedLines | None = None) -> list[StudyEvent]:
    """The events in a file's bytes; lines that are torn or not events are skipped, and ``skipped`` is told."""
    return decode_lines(data, _event_from, skipped)


class StudyTail:
    """Reads what others add to a study while one writes to it oneself. Their files may be copies that come late."""

    def __init__(self, folder: Path, own: Path) -> None:
        self._folder, self._own = folder, own
        self._storage = LocalStorage(folder)
        self._tails: dict[str, LogTail] = {}  # by file name

    def new(self) -> list[StudyEvent]:
        """What was added to the others' files since the last call: at first, all of it."""
        others = [path.name for path in host_files(self._folder) if path != self._own]
        return [event for name in others for event in self._new_of(self._tail(name))]

    @staticmethod
    def _new_of(tail: LogTail) -> Iterator[StudyEvent]:
        while lines := tail.new():
            yield from parse_events(lines)

    def _tail(self, name: str) -> LogTail:
        return self._tails.setdefault(name, LogTail(self._storage, name))


def host_files(folder: Path) -> list[Path]:
    """The hosts' files of a study in the order of their attempts; empty while there are none."""
    numbered = [(path.stem.removeprefix("host-"), path) for path in folder.glob("host-*.jsonl")]
    return [path for _, path in sorted((int(number), path) for number, path in numbered if number.isdigit())]
