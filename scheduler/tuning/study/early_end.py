"""Why a sweep ends before all trials that its job file allows were tried."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EarlyEndCause(StrEnum):
    """What ended it."""

    NOT_WORTH_MORE = "not_worth_more"  # another trial costs more than it is expected to bring: sweep.stop_when
    ALL_TRIED = "all_tried"  # every configuration of a finite space is a trial


@dataclass(frozen=True, slots=True)
class EarlyEnd:
    """The cause, and the same for people."""

    cause: EarlyEndCause
    reason: str
