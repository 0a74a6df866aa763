"""Notices of the end of a machine, and how each cloud words them. Pure: the text of an answer in, notices out.

Each function returns the notices that stand, by a key which tells one from another, and raises ``MetadataError`` for a
text that it does not understand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from spotwise.checkpoints.strict_json import Fields, UnreadableError

from .metadata import MetadataError

AWS = "AWS instance metadata"
GCP = "Google Cloud instance metadata"
AZURE = "Azure scheduled events"


class NoticeKind(StrEnum):
    """What the cloud says."""

    PREEMPTION = "preemption"  # the machine is about to be taken: save and leave
    REBALANCE = "rebalance"  # the machine may be taken soon: save, and go on


@dataclass(frozen=True, slots=True)
class Notice:
    """What a cloud tells a machine about its end."""

    kind: NoticeKind
    deadline: datetime | None  # aware UTC: when the machine is taken; None where the cloud does not say
    source: str  # who says so, for a sentence


NoticesSeen = Mapping[str, Notice]


def aws_instance_action(text: str | None) -> NoticesSeen:
    """``{"action": "terminate", "time": "2026-11-24T08:22:00Z"}``: whatever the action, the machine goes."""
    if text is None:
        return {}
    action = _record(text)
    return {text: Notice(NoticeKind.PREEMPTION, _instant(action.get("time")), AWS)}


def aws_rebalance(text: str | None) -> NoticesSeen:
    """``{"noticeTime": "2026-11-24T08:16:00Z"}``: when it was recommended, not when anything happens."""
    return {} if text is None else {str(_record(text).get("noticeTime")): Notice(NoticeKind.REBALANCE, None, AWS)}


def gcp_preempted(text: str, seen_at: datetime) -> NoticesSeen:
    """``TRUE`` from 30 s before the machine is stopped; it does not say since when."""
    value = text.strip()
    if value not in {"TRUE", "FALSE"}:
        raise MetadataError("answer", f"preempted is neither TRUE nor FALSE but {value[:80]!r}")
    found = Notice(NoticeKind.PREEMPTION, seen_at + timedelta(seconds=30), GCP)
    return {value: found} if value == "TRUE" else {}


def gcp_maintenance(text: str) -> NoticesSeen:
    """``TERMINATE_ON_HOST_MAINTENANCE``: machines with GPUs still have up to an hour, which is worth training in."""
    value = text.strip()
    return {value: Notice(NoticeKind.REBALANCE, None, GCP)} if value.startswith("TERMINATE") else {}


def azure_preempted(text: str, machine: str) -> NoticesSeen:
    """The events of type ``Preempt`` that name this machine; they come at least 30 s before."""
    events = _record(text).get("Events")
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise MetadataError("answer", f"no list of events: {text[:80]!r}")
    return {
        str(event.get("EventId")): Notice(NoticeKind.PREEMPTION, _http_date(event.get("NotBefore")), AZURE)
        for event in events
        if event.get("EventType") == "Preempt" and _names(event.get("Resources"), machine)
    }


def _names(resources: object, machine: str) -> bool:
    return isinstance(resources, list) and machine in resources


def _record(text: str) -> dict[str, Any]:
    try:
        return dict(Fields.of(text).all)
    except UnreadableError as fault:
        raise MetadataError("answer", f"{fault}: {text[:80]!r}") from fault


def _instant(text: object) -> datetime | None:
    """A notice whose time cannot be read is a notice all the same."""
    try:
        return _as_utc(datetime.fromisoformat(str(text)))
    except (ValueError, OverflowError):
        return None


def _http_date(text: object) -> datetime | None:
    """``Tue, 24 Nov 2026 08:22:00 GMT``; empty once the event has started."""
    try:
        return _as_utc(parsedate_to_datetime(str(text)))
    except (ValueError, OverflowError):
        return None


def _as_utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
