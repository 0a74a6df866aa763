"""From plain values to a report. Pure: the same data give the same report, to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..accounting.team_month import Money, money_of, month_of, planned_money, running_usd
from ..core.run import CostBasis, Run
from .budgets import budget_lines, in_month
from .data import ReportData
from .outcomes import (
    count_preemptions,
    coverage,
    model_costs,
    outcome_counts,
    predictions,
    run_lines,
    study_costs,
    work_kept,
)
from .past_savings import past_savings
from .report import Report, Section
from .savings import net_savings
from .spend import basis_totals, market_shares, spend_of, spend_tree
from .timeline import spend_series, timeline


def build_report(data: ReportData) -> Report:
    """Everything the terminal, the HTML page and the JSON say.

    Raises:
        ValueError: a charge, attempt, study or model belongs to a run that is not in the data. Leaving it out silently
            would make money disappear from the report.
    """
    _check_complete(data)
    parts = tuple(split_by_money(data))
    return Report(
        generated_at=data.now,
        month=month_of(data.now)[0].strftime("%Y-%m"),
        sections=tuple(_section(money, part, alone=len(parts) == 1) for money, part in parts),
        unreadable=data.unreadable,
    )


def split_by_money(data: ReportData) -> Iterator[tuple[Money, ReportData]]:
    """The data of each kind of money that occurs, real first.

    Team budgets are real money: with both kinds they stand beside the real one only. A run that has not been placed yet
    stands where it was planned; where its plan does not say that, with the runs of its engine, or with the first kind.
    """
    kinds: dict[str, set[Money]] = {run.id: set() for run in data.runs}
    for attempt in data.attempts:
        kinds[attempt.run_id].add(money_of(attempt.cost_basis))
    for charge in data.charges:
        kinds[charge.run_id].add(money_of(charge.cost_basis))
    for run in data.runs:
        planned = planned_money(run)
        if not kinds[run.id] and planned is not None:
            kinds[run.id].add(planned)
    present = [money for money in Money if any(money in found for found in kinds.values())]
    if not present:
        present = [Money.REAL] if data.runs else []
    by_engine = {run.engine: money for money in reversed(present) for run in data.runs if money in kinds[run.id]}
    for money in present:
        runs = tuple(r for r in data.runs if money in (kinds[r.id] or {by_engine.get(r.engine, present[0])}))
        yield money, _part(data, money, runs, with_budgets=money is present[0])


def _part(data: ReportData, money: Money, runs: tuple[Run, ...], *, with_budgets: bool) -> ReportData:
    ids = {run.id for run in runs}
    return replace(
        data,
        runs=runs,
        attempts=tuple(a for a in data.attempts if money_of(a.cost_basis) is money),
        charges=tuple(c for c in data.charges if money_of(c.cost_basis) is money),
        studies=tuple(s for s in data.studies if s.id in ids),
        models=tuple(m for m in data.models if m.run_id in ids),
        team_budgets=data.team_budgets if with_budgets else {},
    )


def _section(money: Money, data: ReportData, *, alone: bool) -> Section:
    total = spend_of(data.charges, running_usd(data.attempts, data.now))
    predicted = predictions(data)
    month_start, _ = month_of(data.now)
    return Section(
        money=money,
        notice=_notice(money, data, alone=alone),
        total=total,
        month=spend_of(in_month(data.charges, data.now), running_usd(data.attempts, data.now, since=month_start)),
        bases=basis_totals(data.charges),
        teams=spend_tree(data),
        budgets=budget_lines(data),
        over_time=spend_series(data),
        markets=market_shares(data),
        outcomes=outcome_counts(data),
        preemptions=count_preemptions(data.attempts),
        work_kept_share=work_kept(total),
        net=net_savings(data.charges),
        studies=study_costs(data),
        past_savings=past_savings(data),
        models=model_costs(data),
        predictions=predicted,
        coverage=coverage(predicted),
        runs=run_lines(data),
        timeline=timeline(data),
    )


def _notice(money: Money, data: ReportData, *, alone: bool) -> str:
    """What kind of money a section shows; where there are both kinds, that they are not added up."""
    apart = "" if alone else " Shown apart: real and emulated money are never added up."
    if not data.attempts:
        return "Nothing has been placed yet, so nothing has been spent." + apart
    if money is Money.EMULATED:
        scales = sorted({a.hour_s for a in data.attempts})
        hours = ", ".join(f"{scale.normalize():f} s" for scale in scales)
        return f"Emulated market: no real money was spent. One billed hour lasts {hours} of wall clock." + apart
    bases = {a.cost_basis for a in data.attempts} | {c.cost_basis for c in data.charges}
    if bases == {CostBasis.RECONCILED}:
        return "Real money, reconciled with the providers' bills." + apart
    if CostBasis.RECONCILED in bases:
        return "Real money, partly reconciled with the providers' bills and partly estimated from list prices." + apart
    return "Real money, estimated from list prices and time: no provider's bill has been seen yet." + apart


def _check_complete(data: ReportData) -> None:
    known = {run.id for run in data.runs}
    needed = {c.run_id for c in data.charges} | {a.run_id for a in data.attempts}
    needed |= {m.run_id for m in data.models} | {s.id for s in data.studies}
    if missing := sorted(needed - known):
        raise ValueError(
            f"report data lack the runs {', '.join(missing)}: load them together with what belongs to them"
        )
