"""The metric gate: is the new model better than the champion? Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from ..jobfile.schema import Goal


@dataclass(frozen=True, slots=True)
class Score:
    """How a model did on one metric."""

    metric: str
    value: float
    goal: str  # "maximize" or "minimize"
    version: str  # whose score it is


@dataclass(frozen=True, slots=True)
class GateDecision:
    """The gate's verdict, with its reason."""

    promote: bool
    reason: str


def judge(
    candidate: Score | None, champion: Score | None, metric: str, goal: Goal, min_improvement: float = 0.0
) -> GateDecision:
    """Whether the candidate becomes the champion.

    It must be strictly better, and by at least ``min_improvement``. What cannot be compared never promotes. Differences
    are taken in decimal, so that 0.3 against 0.2 is an improvement of 0.1.
    """
    fault = _unusable(candidate, metric, min_improvement) or _incomparable(champion, metric, goal)
    if fault or candidate is None:
        return GateDecision(False, fault)
    if champion is None:
        return GateDecision(True, f"{_show(candidate)}: no champion yet to beat")
    return _compare(candidate, champion, goal, Decimal(repr(min_improvement)))


def _compare(candidate: Score, champion: Score, goal: Goal, asked: Decimal) -> GateDecision:
    gain = Decimal(repr(candidate.value)) - Decimal(repr(champion.value))
    improvement = gain if goal == "maximize" else -gain
    promote = improvement > 0 and improvement >= asked
    terms = f"at least {_number(asked)} asked" if asked else "any improvement asked"
    how = "equal" if not improvement else f"{_number(abs(improvement))} {'better' if improvement > 0 else 'worse'}"
    return GateDecision(
        promote, f"{_show(candidate)} against the champion's {_show(champion)}: {how}, {terms} ({goal})"
    )


def _unusable(candidate: Score | None, metric: str, min_improvement: float) -> str:
    if candidate is None or candidate.metric != metric:
        reported = f"only {candidate.metric}" if candidate else "nothing under that name"
        return (
            f"the gate asks for {metric}, and the run reported {reported}: report it with session.report({metric}=...)"
        )
    if not math.isfinite(candidate.value):
        return f"{candidate.version} ended with {metric} {candidate.value}: not a number to judge by"
    if not math.isfinite(min_improvement):
        return f"gate.min_improvement is {min_improvement}: no model can be judged by that"
    return ""


def _incomparable(champion: Score | None, metric: str, goal: Goal) -> str:
    if champion is None:
        return ""
    if champion.metric != metric or champion.goal != goal:
        return (
            f"the champion {champion.version} was judged by {champion.metric} ({champion.goal}), this gate asks for "
            f"{metric} ({goal}): not comparable. Ask for the champion's metric, or retrain under another model name"
        )
    if not math.isfinite(champion.value):
        return f"the champion {champion.version} has {metric} {champion.value}: nothing can be compared with that"
    return ""


def _show(score: Score) -> str:
    return f"{score.metric} {_number(Decimal(repr(score.value)))} of {score.version}"


def _number(value: Decimal) -> str:
    """Six significant digits without trailing zeros: enough to tell models apart."""
    return f"{float(value):.6g}"
