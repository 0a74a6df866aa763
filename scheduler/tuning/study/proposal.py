"""What a place for a trial is used for: a configuration to try next, or a trial that was set aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration to try, and where it comes from."""

    number: int
    params: dict[str, Any]
    source: str  # "prior", "sampler" or "grid"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Thaw:
    """A trial that goes on where it stopped."""

    number: int
