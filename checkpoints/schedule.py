"""When a checkpoint is due. Pure: positions and elapsed time in, a decision out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from .errors import SettingsError

_EVERY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:(epoch|step|minute)s?|min)\s*")


class Unit(StrEnum):
    """What the distance between two checkpoints is counted in."""

    EPOCHS = "epochs"
    STEPS = "steps"
    MINUTES = "minutes"  # of wall clock; fractions are allowed


@dataclass(frozen=True, slots=True, order=True)
class TrainingPosition:
    """How far training has come."""

    epoch: int = 0  # epochs completed
    step: int = 0  # steps completed, over all epochs
    batch: int = 0  # batches consumed of the epoch in progress; 0 at the boundary of two epochs


@dataclass(frozen=True, slots=True)
class Every:
    """Distance between two checkpoints; ``str()`` is the text that :func:`parse_every` reads."""

    amount: float  # above 0; whole, but for minutes
    unit: Unit

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}"

    def is_due(self, last: TrainingPosition, now: TrainingPosition, minutes_since: float) -> bool:
        """Whether to save at ``now``. The last attempt to save was at ``last``, ``minutes_since`` minutes ago."""
        if now == last:
            return False
        passed = {
            Unit.EPOCHS: now.epoch - last.epoch,
            Unit.STEPS: now.step - last.step,
            Unit.MINUTES: minutes_since,
        }
        return passed[self.unit] >= self.amount


def parse_every(text: str) -> Every:
    """``"2 epochs"``, ``"100 steps"``, ``"5 minutes"`` or ``"5 min"``. Raises ``SettingsError`` for anything else."""
    match = _EVERY.fullmatch(text.lower())
    if match is None:
        raise SettingsError(f"{text!r} is no checkpoint interval: write '2 epochs', '100 steps' or '5 minutes'.")
    amount, unit = float(match[1]), Unit(f"{match[2] or 'minute'}s")
    if amount <= 0:
        raise SettingsError(f"The checkpoint interval {text!r} must be more than 0.")
    if unit is not Unit.MINUTES and not amount.is_integer():
        raise SettingsError(f"The checkpoint interval {text!r} must be a whole number of {unit.value}.")
    return Every(int(amount) if amount.is_integer() else amount, unit)
