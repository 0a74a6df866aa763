"""How an attempt ended, and the event that says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from .end_cause import EndCause
from .events import NodeEvent
from .message_format import NodeMessageError, check_format


class ProgramEnd(NamedTuple):
    """How the attempt ended."""

    cause: EndCause
    at: datetime
    exit_code: int | None
    message: str

    def event_data(self, *, all_gone: bool = True) -> dict[str, Any]:
        """What the event ``ended`` holds. ``all_gone``: nothing that the attempt started is left."""
        message = self.message if all_gone else f"{self.message}; some processes could not be killed"
        return {"cause": self.cause.value, "exit_code": self.exit_code, "message": message}

    @classmethod
    def from_event(cls, event: NodeEvent) -> ProgramEnd:
        """Read the event ``ended``.

        Raises:
            NodeMessageError: a newer spotwise wrote it, or it is damaged.
        """
        source = f"the event {event.name!r}"
        check_format({"format": event.format}, source=source)
        return cls(_cause(event.data, source), event.time, event.data.get("exit_code"), event.data.get("message", ""))


def _cause(data: Mapping[str, Any], source: str) -> EndCause:
    try:
        return EndCause(data["cause"])
    except (KeyError, ValueError) as error:
        raise NodeMessageError(f"{source} has no cause that this spotwise knows ({error}): upgrade it") from error
