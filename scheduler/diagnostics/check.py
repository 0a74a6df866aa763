"""One thing that `spotwise doctor` looked at, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, perhaps not as meant
    FAILED = "failed"  # must be mended


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    verdict: Verdict
    found: str
    fix: str = ""  # what to do; "" where all is well


def ok(name: str, found: str) -> Check:
    return Check(name, Verdict.OK, found)


def warning(name: str, found: str, fix: str) -> Check:
    return Check(name, Verdict.WARNING, found, fix)


def failed(name: str, found: str, fix: str) -> Check:
    return Check(name, Verdict.FAILED, found, fix)
