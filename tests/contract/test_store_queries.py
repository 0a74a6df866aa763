"""What is asked of a store is answered with that part and no more; sums are the database's, to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from databases import KINDS, empty_database
from factories import JOB_YAML, T0, at, attempt, offer, run
from sqlalchemy import event

from spotwise.cost_models.offer import Market
from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.accounting.team_month import Money, TeamMonth
from spotwise.scheduler.core.pool_exposure import PoolExposure
from spotwise.scheduler.core.run import AttemptState, CostBasis, RunKind, RunState
from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.store import RunTotals, Store


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        opened = Store.open(url)
        yield opened
        opened.close()


def placed(store, run_id="digits-aaaaaa", number=1, hours=1.0, begin=T0, **changes):
    """An attempt of a run, ended and booked unless it is to go on."""
    state = changes.pop("state", AttemptState.COMPLETED)
    end = begin + timedelta(hours=hours) if state.is_final else None
    one = attempt(
        number, id=f"{run_id}-a{number}", run_id=run_id, launched_at=begin, ended_at=end, state=state, **changes
    )
    charges = book(one, [Span(begin, end, Category.PRODUCTIVE)]) if end is not None and hours else ()
    store.save_attempt(one, store.lease(run_id, "me", T0, at(1000)), charges)
    return one, charges


def completed(store, run_id, submitted_at=T0, **changes):
    """A completed run, with one attempt of an hour."""
    keys = ("hour_s", "cost_basis")
    of_attempt = {key: changes.pop(key) for key in keys if key in changes}
    made = run(run_id, submitted_at=submitted_at, **changes)
    store.add_run(made, run_id)
    placed(store, run_id, **of_attempt)
    store.save_run(made.evolve(state=RunState.COMPLETED), store.lease(run_id, "me", T0, at(1000)))


def measured(store, **changes):
    values = {"job_name": "digits", "job_yaml": JOB_YAML, "kind": RunKind.TRAINING, "hour_s": Decimal(3600)}
    found = store.measured_runs(**{**values, "cost_basis": CostBasis.ESTIMATED, "limit": 2, **changes})
    return [each.id for each in found]


def test_runs_of_a_period_and_the_newest(store):
    for n in range(4):
        store.add_run(run(f"run-{n}", submitted_at=at(n)), str(n))
    assert [r.id for r in store.runs(since=at(1), until=at(3))] == ["run-1", "run-2"]
    assert [r.id for r in store.runs(limit=2)] == ["run-2", "run-3"]
    assert [r.id for r in store.runs()] == ["run-0", "run-1", "run-2", "run-3"]
    assert store.count("runs") == 4


def test_attempts_of_some_runs_by_name_and_of_late(store):
    for name in ("one", "two", "three"):
        store.add_run(run(name), name)
    early, _ = placed(store, "one", hours=1.0)
    late, _ = placed(store, "two", hours=5.0)
    live, _ = placed(store, "three", state=AttemptState.RUNNING)
    assert store.attempts(["one", "two"]) == [early, late]
    assert store.attempts([]) == []
    assert store.attempts(ids=[late.id, "unknown"]) == [late]
    assert store.attempts(since=at(5)) == [live, late]  # one that ends at that moment had not ended before
    assert store.attempts(since=at(5.1)) == [live]


def test_charges_of_a_month_are_those_that_begin_in_it(store):
    store.add_run(run(), "key")
    _, charges = placed(store, begin=datetime(2026, 3, 31, 23, tzinfo=UTC), hours=2.0)
    march, april = charges
    month = {"since": datetime(2026, 4, 1, tzinfo=UTC), "until": datetime(2026, 5, 1, tzinfo=UTC)}
    assert store.charges(**month) == [april]
    assert store.charges(until=month["since"]) == [march]
    assert store.charges(["digits-aaaaaa"], **month) == [april]
    assert store.charges([]) == []


def test_sums_are_exact(store):
    store.add_run(run(), "key")
    assert store.booked_usd("digits-aaaaaa") == 0
    for n in range(1, 4):
        placed(store, number=n, offer=offer(price="0.123457"))
    assert store.booked_usd("digits-aaaaaa") == Decimal("0.370371")
    assert store.booked_usd("digits-aaaaaa") == sum(c.amount_usd for c in store.charges("digits-aaaaaa"))


def test_totals_count_attempts_and_preemptions_and_add_up_money_by_run(store):
    for name in ("one", "two", "three"):
        store.add_run(run(name), name)
    placed(store, "one", 1, state=AttemptState.PREEMPTED)
    placed(store, "one", 2, state=AttemptState.PREEMPTED)
    placed(store, "one", 3, state=AttemptState.RUNNING)
    placed(store, "two", 1, state=AttemptState.REFUSED, hours=0.0)
    assert store.run_totals(["one", "two", "three"]) == {
        "one": RunTotals(3, 2, Decimal("0.400000")),
        "two": RunTotals(1, 0, Decimal(0)),
    }
    assert set(store.run_totals(["two"])) == {"two"}


def test_the_money_of_a_team_is_that_of_the_month_and_what_its_runs_hold_beyond(store):
    """Of 0.70 that an active run reserved, 0.20 is spent."""
    store.add_run(run("one", reserved_usd=Decimal("0.70")), "one")
    store.add_run(run("other", team="audio", reserved_usd=Decimal(9)), "other")
    placed(store, "one")
    placed(store, "other")
    assert store.team_month("vision", Money.REAL, T0).committed_usd == Decimal("0.70")
    placed(store, "one", 2, hours=4.0)
    assert store.team_month("vision", Money.REAL, T0).committed_usd == Decimal("1.00")
    assert store.team_month("nobody", Money.REAL, T0) == TeamMonth()


def test_hours_and_preemptions_of_a_pool_are_counted_by_the_database(store):
    store.add_run(run(), "key")
    spot, half_hour = offer("a"), timedelta(minutes=30) / timedelta(hours=1)
    placed(store, number=1, offer=spot, hours=2.5, state=AttemptState.PREEMPTED)
    placed(store, number=2, offer=spot, hours=half_hour)
    placed(store, number=3, offer=spot, hours=half_hour, hour_s=Decimal(20))  # 90 hours of an emulated market
    placed(store, number=4, offer=spot, begin=at(2), state=AttemptState.RUNNING)
    placed(store, number=5, offer=spot, hours=0.0, state=AttemptState.REFUSED)
    placed(store, number=6, offer=offer("b", Market.ON_DEMAND, "0.526"))
    placed(store, number=7, offer=offer("c"))
    found = store.pool_exposures(at(3))
    assert set(found) == {spot.pool, offer("c").pool}
    assert found[spot.pool].preemptions == 1
    assert found[spot.pool].hours == pytest.approx(2.5 + 0.5 + 90 + 1, rel=1e-6)
    assert found[offer("c").pool] == PoolExposure(0, pytest.approx(1.0, rel=1e-6))


def test_an_attempt_that_begins_after_now_has_no_hours(store):
    """Its node's clock is ahead of ours."""
    store.add_run(run(), "key")
    placed(store, begin=at(2), state=AttemptState.RUNNING)
    assert store.pool_exposures(at(1)) == {offer().pool: PoolExposure(0, 0.0)}


def test_work_is_measured_by_the_newest_completed_runs_of_the_file_and_of_the_kind(store):
    for n in range(3):
        completed(store, f"same-{n}", at(n))
    for n in range(3):
        completed(store, f"kind-{n}", at(10 + n), job_yaml=JOB_YAML + "# another\n")
    completed(store, "sweep", at(20), kind=RunKind.SWEEP, job_yaml="name: sweep")
    store.add_run(run("active", submitted_at=at(30)), "active")
    placed(store, "active")
    assert measured(store) == ["same-1", "same-2", "kind-1", "kind-2"]


def test_work_is_measured_under_the_same_money_and_pace_only(store):
    completed(store, "real")
    completed(store, "emulated", hour_s=Decimal("20.0"), cost_basis=CostBasis.EMULATED)
    assert measured(store) == ["real"]
    assert measured(store, hour_s=Decimal("3600.00")) == ["real"]
    assert measured(store, hour_s=Decimal(20), cost_basis=CostBasis.EMULATED) == ["emulated"]


def test_studies_by_name(store):
    for name in ("a", "b", "c"):
        store.save_study(StudyRecord(name, "digits", "loss", "minimize", {}, T0))
    assert [study.id for study in store.studies(["c", "a", "x"])] == ["a", "c"]
    assert store.studies([]) == []


@pytest.mark.parametrize("table", ["runs", "attempts", "charges", "events", "changes"])
def test_a_part_is_found_by_an_index(store, table):
    """The plan of each question that is asked in every round or for every command names one."""
    if store._engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads a table of a few rows whole, whatever its indexes")
    asked = {
        "runs": lambda: store.runs(since=T0, until=at(1)),
        "attempts": lambda: store.attempts("digits-aaaaaa"),
        "charges": lambda: store.charges(since=T0, until=at(1)),
        "events": lambda: store.events("digits-aaaaaa"),
        "changes": lambda: store.changes("digits-aaaaaa"),
    }
    statements = []
    event.listen(store._engine, "before_cursor_execute", lambda _c, _k, *said: statements.append(said[:2]))
    asked[table]()
    (statement, parameters) = next(each for each in statements if each[0].startswith("SELECT"))
    with store.transaction(reads=True) as connection:
        plan = [str(row) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    assert any(f"SEARCH {table} USING INDEX" in line for line in plan), plan
