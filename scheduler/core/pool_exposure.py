"""What this installation has seen of a spot pool: a value that the store counts and a hazard belief learns from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolExposure:
    """Preemptions, and the hours in which they could have happened."""

    preemptions: int
    hours: float  # billed
