"""Budgets against what was booked and what is expected. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from ..accounting.ledger import Charge
from ..accounting.team_month import TeamMonth, month_of, running_usd, team_month
from ..core.money import in_micro_usd
from ..core.run import Run
from .data import ReportData
from .report import BudgetLine, BudgetState, Forecast
from .spend import by_run

LINEAR_AFTER = timedelta(days=7)  # a rate seen for less than a week says little: training is bursty
_ZERO = Decimal(0)


def in_month(charges: Iterable[Charge], moment: datetime) -> tuple[Charge, ...]:
    """Charges of the calendar month of ``moment``. Exact: the ledger cuts charges at UTC midnight."""
    start, end = month_of(moment)
    return tuple(c for c in charges if start <= c.start < end)


def budget_lines(data: ReportData) -> tuple[BudgetLine, ...]:
    """One line a team (this month), then one a run that has a budget of its own, newest first."""
    return (*_team_lines(data), *_run_lines(data))


def _team_lines(data: ReportData) -> Iterator[BudgetLine]:
    for team in sorted({run.team for run in data.runs if run.team} | set(data.team_budgets)):
        runs = tuple(run for run in data.runs if run.team == team)
        yield _team_line(team, data.team_budgets.get(team), _only(data, runs))


def _team_line(team: str, budget_usd: Decimal | None, data: ReportData) -> BudgetLine:
    month = _month(data)
    booked, running = month.booked_usd, month.running_usd
    forecast_usd, forecast = _forecast(data, booked, running)
    return BudgetLine(
        scope="team",
        name=team,
        budget_usd=budget_usd,
        booked_usd=booked,
        running_usd=running,
        forecast_usd=forecast_usd,
        forecast=forecast,
        state=_state(budget_usd, booked + running, forecast_usd),
    )


def _month(data: ReportData) -> TeamMonth:
    """By the arithmetic that admits runs, on the charges themselves."""
    charged = {name: sum((c.amount_usd for c in own), _ZERO) for name, own in by_run(data.charges).items()}
    booked = sum((c.amount_usd for c in in_month(data.charges, data.now)), _ZERO)
    return team_month(data.runs, data.attempts, booked_usd=booked, booked_by_run=charged, now=data.now)


def _forecast(data: ReportData, booked: Decimal, running: Decimal) -> tuple[Decimal, Forecast]:
    """Spend of the whole month: see ``Forecast`` for the two methods and which is used when."""
    by_runs = booked + running + sum((_still_predicted(run, data) for run in data.runs), _ZERO)
    start, end = month_of(data.now)
    begins = max(start, min((c.start for c in data.charges), default=data.now))
    seen = data.now - begins
    if seen < LINEAR_AFTER:
        return by_runs, Forecast.RUNS
    rate = (booked + running) * Decimal((end - data.now) / seen)
    return max(by_runs, in_micro_usd(booked + running + rate)), Forecast.LINEAR


def _still_predicted(run: Run, data: ReportData) -> Decimal:
    if run.state.is_final or run.predicted_usd is None:
        return _ZERO
    return max(_ZERO, run.predicted_usd - _spent(run, data))


def _run_lines(data: ReportData) -> Iterator[BudgetLine]:
    for run in sorted(data.runs, key=lambda r: r.submitted_at, reverse=True):
        if run.budget_usd is None:
            continue
        own = _only(data, (run,))
        booked = sum((c.amount_usd for c in own.charges), _ZERO)
        running = running_usd(own.attempts, data.now)
        forecast_usd = booked + running + _still_predicted(run, own)
        yield BudgetLine(
            scope="run",
            name=run.id,
            budget_usd=run.budget_usd,
            booked_usd=booked,
            running_usd=running,
            forecast_usd=forecast_usd,
            forecast=Forecast.FINAL if run.state.is_final else Forecast.RUNS,
            state=_state(run.budget_usd, booked + running, forecast_usd),
        )


def _spent(run: Run, data: ReportData) -> Decimal:
    booked = sum((c.amount_usd for c in data.charges if c.run_id == run.id), _ZERO)
    return booked + running_usd((a for a in data.attempts if a.run_id == run.id), data.now)


def _only(data: ReportData, runs: tuple[Run, ...]) -> ReportData:
    ids = {run.id for run in runs}
    return replace(
        data,
        runs=runs,
        attempts=tuple(a for a in data.attempts if a.run_id in ids),
        charges=tuple(c for c in data.charges if c.run_id in ids),
    )


def _state(budget_usd: Decimal | None, spent_usd: Decimal, forecast_usd: Decimal) -> BudgetState:
    if budget_usd is None:
        return BudgetState.NO_BUDGET
    if spent_usd > budget_usd:
        return BudgetState.OVER
    return BudgetState.AT_RISK if forecast_usd > budget_usd else BudgetState.WITHIN
