"""What a run need not do again, as a value that only grows with progress."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class KeptWork:
    """What the newest checkpoints of a run hold. Only ever compared with what the same run kept before."""

    epochs: int = 0
    steps: int = 0  # where the program counts none: how many different checkpoints it has committed

    def __bool__(self) -> bool:
        return self > KeptWork()
