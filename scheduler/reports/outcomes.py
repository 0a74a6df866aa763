"""How runs and attempts went, and what came of the money: trials, models, predictions. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import median

from ..accounting.ledger import Category, Charge
from ..accounting.team_month import running_usd
from ..core.code_version import CodeVersion
from ..core.deadline import DeadlineState, deadline_state
from ..core.money import in_micro_usd
from ..core.run import Attempt, AttemptState, Run, RunState
from ..core.study import StudyRecord, TrialRecord, TrialState
from .data import ModelRow, ReportData
from .report import (
    Coverage,
    ModelCost,
    OutcomeCount,
    Prediction,
    RunLine,
    Spend,
    StudyCost,
    TrialCost,
    VersionCost,
)
from .spend import by_run, spend_of

_ZERO = Decimal(0)
_MET = {DeadlineState.MET: True, DeadlineState.MISSED: False}


def work_kept(spend: Spend) -> float | None:
    """Money for work that survived, of all money for work; None where no work was done.

    Work of pruned trials counts as kept: it was ended on purpose, not destroyed.
    """
    kept = spend.usd(Category.PRODUCTIVE, Category.PRUNED)
    work = kept + spend.usd(Category.LOST_WORK)
    return float(kept / work) if work else None


def outcome_counts(data: ReportData) -> tuple[OutcomeCount, ...]:
    """Attempts by state, with what they cost so far; only states that occur."""
    usd: dict[str, Decimal] = defaultdict(lambda: _ZERO)
    for charge in data.charges:
        usd[charge.attempt_id] += charge.amount_usd
    rows = []
    for state in AttemptState:
        attempts = [a for a in data.attempts if a.state is state]
        if attempts:
            rows.append(
                OutcomeCount(
                    state=state,
                    attempts=len(attempts),
                    usd=sum((usd[a.id] for a in attempts), _ZERO) + running_usd(attempts, data.now),
                )
            )
    return tuple(rows)


def count_preemptions(attempts: Iterable[Attempt]) -> int:
    """How many attempts the market ended."""
    return sum(a.state is AttemptState.PREEMPTED for a in attempts)


def run_lines(data: ReportData) -> tuple[RunLine, ...]:
    """One line a run, newest first."""
    charges, attempts = by_run(data.charges), by_run(data.attempts)
    newest = sorted(data.runs, key=lambda run: (run.submitted_at, run.id), reverse=True)
    return tuple(_run_line(run, charges[run.id], attempts[run.id], data) for run in newest)


def _run_line(run: Run, charges: Sequence[Charge], attempts: Sequence[Attempt], data: ReportData) -> RunLine:
    code = CodeVersion.of_json(run.code_json)
    spend = spend_of(charges, running_usd(attempts, data.now))
    deadline = deadline_state(run, data.remaining.get(run.id), data.now)
    return RunLine(
        run_id=run.id,
        job_name=run.job_name,
        kind=run.kind,
        owner=run.owner,
        team=run.team,
        project=run.project,
        state=run.state,
        submitted_at=run.submitted_at,
        ended_at=run.ended_at,
        deadline_at=run.deadline_at,
        met_deadline=None if deadline is None else _MET.get(deadline),
        deadline_state=deadline,
        attempts=sum(a.state is not AttemptState.REFUSED for a in attempts),
        preemptions=count_preemptions(attempts),
        work_kept_share=work_kept(spend),
        spend=spend,
        end_reason=run.end_reason,
        unsupervised_since=data.unsupervised.get(run.id),
        incomplete=run.id in data.incomplete,
        code="" if code is None else code.text,
    )


def study_costs(data: ReportData) -> tuple[StudyCost, ...]:
    """Sweeps, newest first."""
    charges = by_run(data.charges)
    newest = sorted(data.studies, key=lambda study: (study.created_at, study.id), reverse=True)
    return tuple(_study_cost(study, charges[study.id]) for study in newest)


def _study_cost(study: StudyRecord, charges: Sequence[Charge]) -> StudyCost:
    usd: dict[int | None, Decimal] = defaultdict(lambda: _ZERO)
    for charge in charges:
        usd[charge.trial] += charge.amount_usd
    trials = {t.number: _trial_cost(t, usd[t.number]) for t in study.trials}
    paid = sorted((t for t in trials.values() if t.usd), key=lambda t: (-t.usd, t.number))
    best = study.best()
    states = [t.state for t in study.trials]
    return StudyCost(
        run_id=study.id,
        job_name=study.job_name,
        metric=study.metric,
        goal=study.goal,
        trials=tuple(sorted(trials.values(), key=lambda t: (-t.usd, t.number))),
        trials_usd=sum((amount for trial, amount in usd.items() if trial is not None), _ZERO),
        shared_usd=usd[None],
        median_usd=in_micro_usd(median(t.usd for t in paid)) if paid else None,
        dearest=paid[0] if paid else None,
        best=None if best is None else trials[best.number],
        completed=states.count(TrialState.COMPLETED),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAILED),
        resumes=sum(t.resumes for t in study.trials),
    )


def _trial_cost(trial: TrialRecord, usd: Decimal) -> TrialCost:
    return TrialCost(trial.number, trial.state, trial.value, trial.epoch, trial.resumes, usd, trial.source)


def model_costs(data: ReportData) -> tuple[ModelCost, ...]:
    """Registered models by name, with all that their retraining cost."""
    charges = by_run(data.charges)
    rows: dict[str, list[ModelRow]] = defaultdict(list)
    for row in data.models:
        rows[row.model].append(row)
    return tuple(_model_cost(model, rows[model], charges) for model in sorted(rows))


def _model_cost(model: str, rows: Sequence[ModelRow], charges: dict[str, list[Charge]]) -> ModelCost:
    versions = tuple(
        VersionCost(
            model=row.model,
            version=row.version,
            run_id=row.run_id,
            metric=row.metric,
            value=row.value,
            champion_value=row.champion_value,
            promoted=row.promoted,
            reason=row.reason,
            created_at=row.created_at,
            usd=sum((c.amount_usd for c in charges[row.run_id]), _ZERO),
        )
        for row in sorted(rows, key=lambda row: row.version, reverse=True)
    )
    runs = {row.run_id for row in rows}
    promoted = sum(row.promoted for row in rows)
    usd = sum((c.amount_usd for run_id in runs for c in charges[run_id]), _ZERO)
    return ModelCost(model, versions, len(runs), promoted, usd, in_micro_usd(usd / promoted) if promoted else None)


def predictions(data: ReportData) -> tuple[Prediction, ...]:
    """Predicted against actual, newest first; runs without a prediction are left out."""
    runs = {run.id: run for run in data.runs}
    found = (_prediction(line, runs[line.run_id]) for line in run_lines(data))
    return tuple(prediction for prediction in found if prediction is not None)


def _prediction(line: RunLine, run: Run) -> Prediction | None:
    expected, low, high = run.predicted_usd, run.predicted_low_usd, run.predicted_high_usd
    if expected is None or low is None or high is None:
        return None
    actual = line.spend.total_usd
    judged = run.state is RunState.COMPLETED
    return Prediction(
        run_id=run.id,
        job_name=run.job_name,
        state=run.state,
        low_usd=low,
        expected_usd=expected,
        high_usd=high,
        actual_usd=actual,
        inside=low <= actual <= high if judged else None,
        error_share=float((actual - expected) / expected) if judged and expected else None,
    )


def coverage(rows: Iterable[Prediction]) -> Coverage:
    """How many predictions held, of those that can be judged."""
    judged = [row.inside for row in rows if row.inside is not None]
    return Coverage(len(judged), sum(judged), sum(judged) / len(judged) if judged else None)
