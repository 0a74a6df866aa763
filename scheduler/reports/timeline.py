"""Time: what each run's attempts did when, and how the money added up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from ..accounting.ledger import Category, Charge, cost_of
from ..core.money import in_micro_usd
from ..core.run import Attempt, AttemptState, Run
from .budgets import in_month
from .data import ReportData
from .report import Bar, Point, SpendSeries, TimelineRow
from .spend import by_run

_HOUR_S = Decimal(3600)
_STEPS = (  # (up to this range, step, name)
    (timedelta(minutes=15), timedelta(seconds=10), "10 seconds"),
    (timedelta(hours=3), timedelta(minutes=1), "minute"),
    (timedelta(days=3), timedelta(hours=1), "hour"),
    (timedelta.max, timedelta(days=1), "day"),
)


def timeline(data: ReportData) -> tuple[TimelineRow, ...]:
    """One row for every run that held capacity, newest first."""
    newest = sorted(data.runs, key=lambda run: (run.submitted_at, run.id), reverse=True)
    attempts, charges = by_run(data.attempts), by_run(data.charges)
    rows = (_row(run, attempts[run.id], charges[run.id], data.now) for run in newest)
    return tuple(row for row in rows if row.bars)


def _row(run: Run, attempts: Sequence[Attempt], charges: Sequence[Charge], now: datetime) -> TimelineRow:
    held = sorted((a for a in attempts if a.state is not AttemptState.REFUSED), key=lambda a: a.number)
    hour_s = held[0].hour_s if held else _HOUR_S
    bars = tuple(_bar(run, a, [c for c in charges if c.attempt_id == a.id], now) for a in held)
    return TimelineRow(
        run_id=run.id,
        job_name=run.job_name,
        state=run.state,
        submitted_at=run.submitted_at,
        deadline_h=None if run.deadline_at is None else _hours(run, run.deadline_at, hour_s),
        end_h=max((bar.end_h for bar in bars), default=0.0),
        bars=bars,
    )


def _bar(run: Run, attempt: Attempt, charges: Sequence[Charge], now: datetime) -> Bar:
    end = max(attempt.ended_at or now, attempt.launched_at)
    lost = _union((c.start, c.end) for c in charges if c.category is Category.LOST_WORK)
    pool = attempt.billed.pool
    began = min((c.start for c in charges if c.category is not Category.OVERHEAD), default=attempt.started_at)
    return Bar(
        attempt_id=attempt.id,
        number=attempt.number,
        market=attempt.offer.market,
        place=f"{pool.cloud} {pool.place}",
        state=attempt.state,
        start_h=_hours(run, attempt.launched_at, attempt.hour_s),
        work_h=None if began is None else _hours(run, began, attempt.hour_s),
        end_h=_hours(run, end, attempt.hour_s),
        lost_h=tuple((_hours(run, a, attempt.hour_s), _hours(run, b, attempt.hour_s)) for a, b in lost),
        usd=sum((c.amount_usd for c in charges), Decimal(0)) if attempt.state.is_final else cost_of(attempt, now),
        epochs_kept=attempt.epochs_kept,
    )


def _hours(run: Run, moment: datetime, hour_s: Decimal) -> float:
    """Billed hours from the run's submission to ``moment``."""
    return (moment - run.submitted_at).total_seconds() / float(hour_s)


def _union(intervals: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Overlapping intervals (trials lose work at the same time) as disjoint ones."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def spend_series(data: ReportData) -> SpendSeries:
    """This month's booked money, cumulative, against the budget of all teams together."""
    charges = in_month(data.charges, data.now)
    budget = sum(data.team_budgets.values(), Decimal(0)) if data.team_budgets else None
    if not charges:
        return SpendSeries("day", (), budget)
    first, last = min(c.start for c in charges), max(c.end for c in charges)
    step, name = next((step, name) for limit, step, name in _STEPS if last - first <= limit)
    points = tuple(Point(moment, _booked_until(charges, moment)) for moment in _ticks(first, last, step, data.now))
    return SpendSeries(name, points, budget)


def _ticks(first: datetime, last: datetime, step: timedelta, now: datetime) -> list[datetime]:
    """Multiples of ``step`` from at or before ``first`` to at or after ``last``, but not after ``now``."""
    midnight = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + (first - midnight) // step * step
    ticks = [moment]
    while moment < last:
        moment += step
        ticks.append(max(min(moment, now), last) if moment >= last else moment)
    return ticks


def _booked_until(charges: Sequence[Charge], moment: datetime) -> Decimal:
    """Money booked until ``moment``; a charge that is cut counts by its time, whole ones count exactly."""
    total = Decimal(0)
    for charge in charges:
        if charge.end <= moment:
            total += charge.amount_usd
        elif charge.start < moment:
            share = Decimal((moment - charge.start) / (charge.end - charge.start))
            total += in_micro_usd(charge.amount_usd * share)
    return total
