"""Which checkpoint is the best one: by a metric that training reports, and what is better of it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .errors import SettingsError
from .manifest import Manifest


class Better(StrEnum):
    """What is better of a metric."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True)
class BestBy:
    """The metric that tells which checkpoint is the best; ``str()`` is the text that :func:`parse_best_by` reads."""

    metric: str
    better: Better

    def __str__(self) -> str:
        return f"{self.better} {self.metric}"

    def value_of(self, metrics: Mapping[str, float]) -> float | None:
        """The metric's value, larger is better whatever the metric; None where there is no finite one."""
        value = metrics.get(self.metric)
        if value is None or not math.isfinite(value):
            return None
        return value if self.better is Better.MAXIMIZE else -value

    def ranked(self, manifests: Iterable[Manifest]) -> list[Manifest]:
        """Those taken at the end of an epoch with a finite value, the best first; of equal ones the earliest.

        In the middle of an epoch the metrics are those of the weights one epoch before.
        """
        valued = [(self.value_of(manifest.metrics), manifest) for manifest in manifests if manifest.position.batch == 0]
        found = [(value, manifest) for value, manifest in valued if value is not None]
        return [manifest for _, manifest in sorted(found, key=lambda each: (-each[0], each[1].position.step))]


def parse_best_by(text: str) -> BestBy:
    """``"maximize val_accuracy"`` or ``"minimize val_loss"``. Raises ``SettingsError`` for anything else."""
    better, _, metric = text.strip().partition(" ")
    try:
        return BestBy(metric.strip(), Better(better)) if metric.strip() else _refuse(text)
    except ValueError:
        return _refuse(text)


def _refuse(text: str) -> BestBy:
    raise SettingsError(f"{text!r} does not tell a best checkpoint: write 'maximize METRIC' or 'minimize METRIC'.")
