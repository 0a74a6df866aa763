"""What the store holds, as the values that a report is made from."""

from __future__ import annotations

from .app import App
from .reports.data import ModelRow, ReportData
from .store.nights import judgements


def report_data(app: App) -> ReportData:
    """All that a report may look at, now."""
    store = app.store
    models = (
        ModelRow(j.model, j.version, j.version, j.metric, j.value, j.champion_value, j.promoted, j.reason, j.judged_at)
        for j in judgements(store)
    )
    budgets = {name: team.monthly_budget_usd for name, team in app.settings.teams.items()}
    return ReportData(
        now=app.clock.now(),
        runs=tuple(store.runs()),
        attempts=tuple(store.attempts()),
        charges=tuple(store.charges()),
        studies=tuple(store.studies()),
        models=tuple(models),
        team_budgets={name: budget for name, budget in budgets.items() if budget is not None},
    )
