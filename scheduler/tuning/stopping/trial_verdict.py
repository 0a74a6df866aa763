"""What follows from a trial's reports: the same whether its host saw them come or a later one reads of them. Pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from ..study.study_state import Study, TrialView
from ..study.sweep_task import SweepTask
from .asha import GO_ON, TrialVerdict, judge


def judge_report(study: Study, number: int, task: SweepTask) -> TrialVerdict:
    """Whether a trial goes on, asked when its last report has just been folded into ``study``.

    Only for an epoch that the trial had not reported before: one repeated after a resume is not judged again.
    """
    rule, reports = task.early_stopping, study.trials[number].reports
    if rule is None:
        return GO_ON
    if reports[max(reports)] is None:
        return TrialVerdict(stop=True, reason=f"{task.metric} is not a finite number")
    if task.freezes:
        return GO_ON  # whether it goes on now depends on what else could: the host decides
    curves = {n: trial.curve for n, trial in study.trials.items() if trial.curve}
    return judge(curves, number, rule, goal=task.goal, max_epochs=task.epochs)


class FaultAtEnd(StrEnum):
    """Why a trial whose program has done all its work has failed none the less."""

    NOT_FINITE = "not_finite"  # the metric, at the end
    NO_METRIC = "no_metric"  # it was never reported


def fault_at_end(trial: TrialView) -> FaultAtEnd | None:
    """None where the trial is complete."""
    if not trial.reports:
        return FaultAtEnd.NO_METRIC
    return FaultAtEnd.NOT_FINITE if trial.reports[max(trial.reports)] is None else None


def fault_text(fault: FaultAtEnd, metric: str, seen_metrics: Collection[str]) -> str:
    """The fault for people. ``seen_metrics`` are the names of what the program reported."""
    if fault is FaultAtEnd.NOT_FINITE:
        return f"{metric} was not a finite number at the end"
    reported = f"it reported {', '.join(seen_metrics)}" if seen_metrics else "it reported nothing"
    return f"ended without {metric}: {reported}. Write progress lines with {metric} to $SPOTWISE_PROGRESS_URL"
