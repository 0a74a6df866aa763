"""One thing that `spotwise doctor` looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # it works, perhaps not as meant
    FAILED = "failed"  # must be mended


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: CheckStatus
    found: str
    fix: str = ""  # what to do; "" where all is well


def ok(name: str, found: str) -> Check:
    """All is as it should be."""
    return Check(name, CheckStatus.OK, found)


def warning(name: str, found: str, fix: str) -> Check:
    """It works, but not well; ``fix`` says what to do."""
    return Check(name, CheckStatus.WARNING, found, fix)


def failed(name: str, found: str, fix: str) -> Check:
    """It does not work; ``fix`` says what to do."""
    return Check(name, CheckStatus.FAILED, found, fix)
