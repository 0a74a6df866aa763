"""A team's month is one arithmetic: what admits a run is what the report shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from databases import KINDS, empty_database
from factories import T0, at, attempt, run

from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.accounting.team_month import Money
from spotwise.scheduler.core.errors import RefusedError
from spotwise.scheduler.core.run import AttemptState, CostBasis, RunState
from spotwise.scheduler.reports.aggregate import build_report
from spotwise.scheduler.reports.data import ReportData
from spotwise.scheduler.store import Store, TeamLimit

LIMIT = TeamLimit(Decimal("1.00"), T0)
EMULATED = json.dumps({"cost_basis": "emulated"})
NEW_MONTH = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        opened = Store.open(url)
        yield opened
        opened.close()


def placed(store, run_id, number=1, *, begin=T0, hours=None, basis=CostBasis.ESTIMATED):
    """An attempt at 0.20 USD an hour; booked where ``hours`` says when it ended."""
    end = None if hours is None else begin + timedelta(hours=hours)
    state = AttemptState.RUNNING if end is None else AttemptState.COMPLETED
    names = {"id": f"{run_id}-a{number}", "run_id": run_id, "launched_at": begin, "cost_basis": basis}
    one = attempt(number, **names, ended_at=end, state=state)
    charges = () if end is None else book(one, [Span(begin, end, Category.PRODUCTIVE)])
    store.save_attempt(one, store.lease(run_id, "me", T0, at(10_000)), charges)


def report_line(store, money, now):
    data = ReportData(
        now,
        tuple(store.runs()),
        tuple(store.attempts()),
        tuple(store.charges()),
        team_budgets={"vision": LIMIT.budget_usd},
    )
    section = next(section for section in build_report(data).sections if section.money is money)
    return next(line for line in section.budgets if line.scope == "team")


def test_emulated_money_never_eats_a_real_budget(store):
    store.add_run(run("emulated", reserved_usd=Decimal("0.90"), plan_json=EMULATED), "emulated")
    placed(store, "emulated", hours=4, basis=CostBasis.EMULATED)
    placed(store, "emulated", 2, begin=at(4), basis=CostBasis.EMULATED)
    store.add_run(run("not placed yet", reserved_usd=Decimal("0.90"), plan_json=EMULATED), "another")
    store.add_run(run("real", reserved_usd=Decimal("1.00")), "real", LIMIT)
    with pytest.raises(RefusedError, match=r"0\.00 USD left"):
        store.add_run(run("real too", reserved_usd=Decimal("0.01")), "real too", LIMIT)


def test_real_money_never_eats_what_is_emulated(store):
    store.add_run(run("real", reserved_usd=Decimal("1.00")), "real")
    placed(store, "real", hours=5)
    store.add_run(run("emulated", reserved_usd=Decimal("1.00"), plan_json=EMULATED), "emulated", LIMIT)


def test_a_run_over_the_months_end_counts_in_each_month_for_its_own_time(store):
    """10 h at 0.20 USD before the month's end, 2 h after it, of 3 USD set aside: 0.60 is still to come."""
    store.add_run(run("one", reserved_usd=Decimal("3.00")), "one")
    placed(store, "one", begin=NEW_MONTH - timedelta(hours=10))
    now = NEW_MONTH + timedelta(hours=2)
    month = store.team_month("vision", Money.REAL, now)
    assert (month.running_usd, month.reserved_usd["one"]) == (Decimal("0.40"), Decimal("0.60"))
    assert month.committed_usd == Decimal("1.00")
    placed(store, "one", begin=NEW_MONTH - timedelta(hours=10), hours=12)
    assert store.team_month("vision", Money.REAL, now).booked_usd == Decimal("0.40")
    assert store.team_month("vision", Money.REAL, now).committed_usd == Decimal("1.00")
    assert store.team_month("vision", Money.REAL, NEW_MONTH - timedelta(seconds=1)).booked_usd == Decimal("2.00")


@pytest.mark.parametrize("money", Money)
def test_the_report_counts_what_admission_counts(store, money):
    basis = CostBasis.EMULATED if money is Money.EMULATED else CostBasis.ESTIMATED
    other = CostBasis.ESTIMATED if money is Money.EMULATED else CostBasis.EMULATED
    for name, each in (("one", basis), ("two", basis), ("three", other)):
        store.add_run(run(name, reserved_usd=Decimal("3.00"), plan_json=json.dumps({"cost_basis": each.value})), name)
        placed(store, name, begin=NEW_MONTH - timedelta(hours=3), hours=5, basis=each)
        placed(store, name, 2, begin=NEW_MONTH + timedelta(hours=5), basis=each)
    ended = store.run("two").evolve(state=RunState.COMPLETED)
    placed(store, "two", 2, begin=NEW_MONTH + timedelta(hours=5), hours=1, basis=basis)
    store.save_run(ended, store.lease("two", "me", T0, at(10_000)))
    now = NEW_MONTH + timedelta(hours=8)
    month, line = store.team_month("vision", money, now), report_line(store, money, now)
    assert (line.booked_usd, line.running_usd) == (month.booked_usd, month.running_usd)
    assert month.booked_usd == Decimal("1.00")
    assert month.running_usd == Decimal("0.60")
