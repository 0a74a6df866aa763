"""No money out of nothing: however charges are grouped, they add up to the ledger, to the last digit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from sample_report import Story

from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.accounting.ledger import Category, Charge, Span, book, cost_of
from spotwise.scheduler.core.run import Attempt, AttemptState, CostBasis, RunKind
from spotwise.scheduler.reports import Report, ReportData, build_report, focus_csv
from spotwise.scheduler.reports.report import Section, SpendNode

NOW = datetime(2026, 11, 20, tzinfo=UTC)
prices = st.decimals(min_value=0, max_value=40, places=5)


@st.composite
def offers(draw: st.DrawFn) -> Offer:
    cloud = draw(st.sampled_from(["aws", "gcp", "lab"]))
    return Offer(
        pool=Pool(cloud, "r1", draw(st.sampled_from(["r1a", ""])), "gpu.large"),
        market=draw(st.sampled_from(Market)),
        price_usd_per_hour=draw(prices),
        on_demand_usd_per_hour=draw(st.none() | prices),
    )


@st.composite
def attempts(draw: st.DrawFn, run_id: str, number: int) -> Attempt:
    launched = NOW - timedelta(microseconds=draw(st.integers(1, 40 * 86_400_000_000)))
    lasts = timedelta(microseconds=draw(st.integers(0, 30 * 3_600_000_000)))
    ended = draw(st.booleans()) or launched + lasts > NOW
    return Attempt(
        id=f"{run_id}-a{number}",
        run_id=run_id,
        number=number,
        offer=draw(offers()),
        nodes=draw(st.integers(1, 3)),
        state=draw(st.sampled_from([AttemptState.PREEMPTED, AttemptState.COMPLETED]))
        if ended
        else AttemptState.RUNNING,
        reason="",
        launched_at=launched,
        hour_s=draw(st.sampled_from([Decimal(3600), Decimal(4)])),
        cost_basis=draw(st.sampled_from(CostBasis)),
        started_at=launched,
        ended_at=min(launched + lasts, NOW) if ended else None,
    )


@st.composite
def spans(draw: st.DrawFn, attempt: Attempt) -> list[Span]:
    """Any cuts, each piece shared by up to three trials or held by none."""
    assert attempt.ended_at is not None
    whole = (attempt.ended_at - attempt.launched_at) // timedelta(microseconds=1)
    cuts = sorted({0, whole, *draw(st.lists(st.integers(0, whole), max_size=4))})
    pieces = []
    for start, end in pairwise(cuts):
        trials = draw(st.integers(1, 3))
        for trial in range(trials):
            pieces.append(
                Span(
                    attempt.launched_at + timedelta(microseconds=start),
                    attempt.launched_at + timedelta(microseconds=end),
                    draw(st.sampled_from(Category)),
                    trial if trials > 1 else None,
                    Fraction(1, trials),
                )
            )
    return pieces


@st.composite
def report_data(draw: st.DrawFn) -> ReportData:
    story, runs, made = Story(), [], []
    charges: list[Charge] = []
    for n in range(draw(st.integers(1, 4))):
        team, project = draw(st.sampled_from(["a", "b", ""])), draw(st.sampled_from(["p", ""]))
        kind = draw(st.sampled_from(RunKind))
        runs.append(story.run(f"job{n % 2}-{n}", kind, at=0, team=team, project=project))
        for number in range(1, draw(st.integers(0, 3)) + 1):
            attempt = draw(attempts(runs[-1].id, number))
            made.append(attempt)
            if attempt.ended_at is not None:
                charges.extend(book(attempt, draw(spans(attempt))))
    budgets = {"a": Decimal(10)}
    return ReportData(NOW, tuple(runs), tuple(made), tuple(charges), team_budgets=budgets)


def total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def leaves(nodes: tuple[SpendNode, ...]) -> list[SpendNode]:
    return [leaf for node in nodes for leaf in (leaves(node.children) if node.children else [node])]


def check_tree(nodes: tuple[SpendNode, ...]) -> None:
    for node in nodes:
        if node.children:
            assert total(c.spend.booked_usd for c in node.children) == node.spend.booked_usd
            assert total(c.spend.running_usd for c in node.children) == node.spend.running_usd
            assert total(c.spend.saved_usd for c in node.children) == node.spend.saved_usd
        assert total(c.usd for c in node.spend.categories) == node.spend.booked_usd
        check_tree(node.children)


def charges_of(report: Report, data: ReportData) -> list[tuple[Section, list[Decimal]]]:
    emulated = CostBasis.EMULATED
    return [
        (s, [c.amount_usd for c in data.charges if (c.cost_basis is emulated) == (s.money.value == "emulated")])
        for s in report.sections
    ]


@settings(max_examples=60, deadline=None)
@given(report_data())
def test_every_grouping_adds_up_to_the_charges(data: ReportData) -> None:
    """Teams, trials, categories, markets, bases, runs and outcomes are all the same money."""
    report = build_report(data)
    for section, amounts in charges_of(report, data):
        booked = total(amounts)
        assert section.total.booked_usd == booked
        assert total(node.spend.booked_usd for node in section.teams) == booked
        assert total(leaf.spend.booked_usd for leaf in leaves(section.teams)) == booked
        assert total(c.usd for c in section.total.categories) == booked
        assert total(m.spend.booked_usd for m in section.markets) == booked
        assert total(b.usd for b in section.bases) == booked
        assert total(r.spend.booked_usd for r in section.runs) == booked
        assert total(o.usd for o in section.outcomes) == booked + section.total.running_usd
        assert total(b.usd for row in section.timeline for b in row.bars) == booked + section.total.running_usd
        check_tree(section.teams)
    assert total(s.total.booked_usd for s in report.sections) == total(c.amount_usd for c in data.charges)


@settings(max_examples=60, deadline=None)
@given(report_data())
def test_savings_are_on_demand_less_what_was_booked(data: ReportData) -> None:
    """Only charges with an on-demand price count; the others are said apart."""
    for section in build_report(data).sections:
        spend = section.total
        assert spend.on_demand_usd - spend.saved_usd + spend.not_comparable_usd == spend.booked_usd
        assert total(m.spend.saved_usd for m in section.markets) == spend.saved_usd


@settings(max_examples=40, deadline=None)
@given(report_data())
def test_running_money_is_what_open_attempts_cost_until_now(data: ReportData) -> None:
    """It never enters the booked amounts."""
    open_attempts = [a for a in data.attempts if not a.state.is_final]
    sections = build_report(data).sections
    assert total(s.total.running_usd for s in sections) == total(cost_of(a, NOW) for a in open_attempts)


@settings(max_examples=40, deadline=None)
@given(report_data())
def test_the_months_curve_ends_at_the_months_charges(data: ReportData) -> None:
    """It never falls, and its last point is the month's booked money to the last digit."""
    for section in build_report(data).sections:
        points = section.over_time.points
        assert [p.usd for p in points] == sorted(p.usd for p in points)
        assert (points[-1].usd if points else Decimal(0)) == section.month.booked_usd
        teams = [line for line in section.budgets if line.scope == "team"]
        unnamed = [c for c in section.runs if not c.team]
        if not unnamed:
            assert total(line.booked_usd for line in teams) == section.month.booked_usd


@settings(max_examples=60, deadline=None)
@given(report_data())
def test_the_csv_holds_every_charge_to_the_last_digit(data: ReportData) -> None:
    """BilledCost and EffectiveCost add up to the ledger."""
    rows = list(csv.DictReader(io.StringIO(focus_csv(data))))
    assert len(rows) == len(data.charges)
    for column in ("BilledCost", "EffectiveCost"):
        assert total(Decimal(row[column]) for row in rows) == total(c.amount_usd for c in data.charges)


@settings(max_examples=30, deadline=None)
@given(report_data())
def test_the_order_of_rows_does_not_change_the_report(data: ReportData) -> None:
    """The store may return rows in any order."""
    shuffled = replace(data, runs=data.runs[::-1], attempts=data.attempts[::-1], charges=data.charges[::-1])
    assert build_report(shuffled) == build_report(data)
