"""What the store holds, as the values that a report is made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..core.event_kind import EventKind
from ..execution.context import App
from ..execution.supervision import unsupervised_since
from ..retraining.judging import Judgement
from ..store.nights import judgements
from .data import ModelRow, ReportData


def report_data(app: App) -> ReportData:
    """All that a report may look at, now. Imported studies are no run's: nothing was spent on them here."""
    store = app.store
    store.unreadable.forget()
    runs, attempts, charges = store.runs(), store.attempts(), store.charges()
    unreadable = store.unreadable.of_runs()
    runs = [run for run in runs if run.id not in unreadable]
    ids = {run.id for run in runs}
    studies = store.studies()
    named = {prior for study in studies if study.id in ids for prior in study.priors}
    left = {run.id: store.remaining(run.id) for run in runs if run.deadline_at is not None and not run.state.is_final}
    budgets = {name: team.monthly_budget_usd for name, team in app.settings.teams.items()}
    now = app.clock.now()
    return ReportData(
        now=now,
        runs=tuple(runs),
        attempts=tuple(attempt for attempt in attempts if attempt.run_id not in unreadable),
        charges=tuple(charge for charge in charges if charge.run_id not in unreadable),
        studies=tuple(study for study in studies if study.id in ids),
        models=tuple(model for model in _models(judgements(store)) if model.run_id not in unreadable),
        past=tuple(study for study in studies if study.id in named),
        remaining={run_id: each for run_id, each in left.items() if each is not None},
        unsupervised=unsupervised_since(store, now),
        team_budgets={name: budget for name, budget in budgets.items() if budget is not None},
        incomplete=store.runs_with(EventKind.INCOMPLETE),
        unreadable=tuple(sorted(unreadable)),
    )


def _models(judged: Iterable[Judgement]) -> tuple[ModelRow, ...]:
    """Each model's judgements, numbered from 1 in the order they were made."""
    numbers: Counter[str] = Counter()
    rows = []
    for j in judged:
        numbers[j.model] += 1
        rows.append(
            ModelRow(
                model=j.model,
                version=numbers[j.model],
                run_id=j.version,
                metric=j.metric,
                value=j.value,
                champion_value=j.champion_value,
                promoted=j.promoted,
                reason=j.reason,
                created_at=j.judged_at,
            )
        )
    return tuple(rows)
