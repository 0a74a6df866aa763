"""How much GPU memory a sweep's trials will take, from what trials of related studies took. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spotwise.cost_models.gpu_memory import gpu_memory_gib
from spotwise.cost_models.offer import Offer

from ..core.study import StudyRecord
from ..core.text import counted

LEAST_TRIALS = 3  # that said how much they took
MOST_TOO_LARGE = 0.1  # of trials: a GPU on which more would fail is left out
LIBRARIES_GIB = 0.5  # of CUDA's own, beside tensors
FRAGMENTED = 1.1  # between tensors there are gaps


@dataclass(frozen=True, slots=True)
class TrialMemory:
    """GiB of one GPU that past trials' tensors held at most, each."""

    trials: int
    studies: int
    p50: float
    p90: float
    most: float

    @property
    def needed_gib(self) -> float:
        """What a trial must have of a GPU, so that at most one in ten fails."""
        return self.p90 * FRAGMENTED + LIBRARIES_GIB

    @property
    def text(self) -> str:
        """``from 3 studies: 4.1 GiB of a GPU a trial, 90 % below 7.9, at most 11.2; 9.2 are reckoned with``"""
        took = f"{self.p50:.1f} GiB of a GPU a trial, 90 % below {self.p90:.1f}, at most {self.most:.1f}"
        of = counted(self.studies, "study", "studies")
        return f"from {of}: {took}; {self.needed_gib:.1f} are reckoned with"


def trial_memory(studies: Iterable[StudyRecord]) -> TrialMemory | None:
    """None where too few trials said how much they took, as on machines without GPUs."""
    found = [[gib for t in study.trials if (gib := t.gpu_memory_gib) and math.isfinite(gib)] for study in studies]
    peaks = [gib for each in found for gib in each]
    if len(peaks) < LEAST_TRIALS:
        return None
    middle, high = (float(np.quantile(peaks, part)) for part in (0.5, 1.0 - MOST_TOO_LARGE))
    return TrialMemory(len(peaks), sum(map(bool, found)), middle, high, max(peaks))


def too_small(offer: Offer, needed_gib: float | None, parallel: int) -> str | None:
    """Why an offer's GPUs are too small; None where they are not, and where nobody knows.

    Args:
        needed_gib: by one trial.
        parallel: trials at a time: where there are fewer GPUs, they share them.
    """
    has = gpu_memory_gib(offer.accelerator)
    if needed_gib is None or has is None:
        return None
    at_once = math.ceil(parallel / max(1, offer.accelerator_count))
    if has >= at_once * needed_gib:
        return None
    what = "a trial" if at_once == 1 else f"{at_once} trials at a time"
    return f"{offer.accelerator} has {has:.1f} GiB, and {what} would need {at_once * needed_gib:.1f} by related studies"
