"""What past studies saved the sweeps that used them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from ..accounting.ledger import Charge
from ..core.json_values import stored_object
from ..core.run import Run
from ..core.study import StudyRecord
from ..planning.warm_start import usd_per_trial, worth_usd
from ..tuning.savings.realised import realised_saving
from .data import ReportData
from .report import PastSaving
from .spend import by_run


def past_savings(data: ReportData) -> tuple[PastSaving, ...]:
    """Sweeps that have ended and learned from past studies that are still known, newest first."""
    runs = {run.id: run for run in data.runs if run.state.is_final}
    past, charges = {study.id: study for study in data.past}, by_run(data.charges)
    newest = sorted(data.studies, key=lambda study: (study.created_at, study.id), reverse=True)
    found = (_saving(runs[s.id], s, past, charges[s.id]) for s in newest if s.id in runs and s.priors)
    return tuple(saving for saving in found if saving is not None)


def _saving(
    run: Run, study: StudyRecord, past: Mapping[str, StudyRecord], charges: Sequence[Charge]
) -> PastSaving | None:
    saving = realised_saving(study, [past[prior] for prior in study.priors if prior in past])
    if saving is None:
        return None
    booked = sum((charge.amount_usd for charge in charges), Decimal(0))
    each = usd_per_trial(booked, len(study.trials))  # starts and preemptions included, as the plan reckons it
    return PastSaving(
        run_id=run.id,
        studies=saving.studies,
        trials_with=saving.with_past,
        trials_without=saving.without,
        saved_trials=saving.trials,
        usd_per_trial=each,
        saved_usd=worth_usd(saving.trials, each),
        planned_trials=_planned(run),
    )


def _planned(run: Run) -> float | None:
    """What the plan said at submission; older plans did not."""
    said = stored_object(run.plan_json).get("expected_saving")
    return None if said is None else float(said["saved_trials"]["expected"])
