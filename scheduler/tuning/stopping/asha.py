"""Asynchronous successive halving, stopping variant, as a pure function of the recorded curves.

Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020 (arXiv:1810.05934), with the
stopping rule that Ray Tune and Syne Tune use: a trial that reaches a rung goes on if it is in the top 1/eta of all
values recorded at that rung, its own included, whatever became of the others since.

Nothing is remembered between calls, so a host that restarts decides as one that never stopped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..model.fidelities import value_at
from ..study.sweep_task import StoppingRule

Curve = Sequence[tuple[int, float]]  # (epoch, value), by epoch


@dataclass(frozen=True, slots=True)
class TrialVerdict:
    """Whether a trial is to be stopped, and why."""

    stop: bool
    reason: str = ""


GO_ON = TrialVerdict(stop=False)


def judge(
    curves: Mapping[int, Curve], trial: int, rule: StoppingRule, *, goal: str, max_epochs: int | None = None
) -> TrialVerdict:
    """Whether ``trial`` goes on, asked when the last point of its curve has just been recorded.

    Only the report that first reaches a rung is judged; a program that reports every few epochs is judged at the
    highest rung it passed. While fewer than eta values are recorded at a rung, nobody is in its top 1/eta and nobody
    is stopped: the first trials of a sweep are too few to be compared.
    """
    curve = curves[trial]
    before = curve[-2][0] if len(curve) > 1 else 0
    last = curve[-1][0] if max_epochs is None else min(curve[-1][0], max_epochs - 1)
    crossed = [level for level in rule.rungs(last) if level > before]
    if not crossed:
        return GO_ON
    rung = crossed[-1]
    recorded = [value for other in curves.values() if (value := value_at(other, rung)) is not None]
    own = value_at(curve, rung)
    if own is None or len(recorded) < rule.reduction_factor:
        return GO_ON
    better = sum(value > own if goal == "maximize" else value < own for value in recorded)
    if better < max(1, math.floor(len(recorded) / rule.reduction_factor)):
        return GO_ON
    place = f"place {better + 1} of {len(recorded)} at epoch {rung}"
    return TrialVerdict(stop=True, reason=f"{place}: not among the best 1/{rule.reduction_factor}")
