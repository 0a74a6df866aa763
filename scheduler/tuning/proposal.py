"""A configuration to try next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration to try, and where it comes from."""

    number: int
    params: dict[str, Any]
    source: str  # "prior" or "sampler"
    note: str = ""
