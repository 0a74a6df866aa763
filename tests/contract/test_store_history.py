"""Each change of money or state is in the history, with its time, actor and cause; nothing else is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from databases import KINDS, empty_database
from factories import T0, at, attempt, run

from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import LeaseLostError, RefusedError
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.core.study import StudyRecord
from spotwise.scheduler.retraining.judging import Judgement
from spotwise.scheduler.retraining.occurrences import OccurrenceOutcome
from spotwise.scheduler.store import Actor, Store, TeamLimit
from spotwise.scheduler.store.nights import SqlOccurrences, record_judgement
from spotwise.scheduler.store.studies import add_studies, forget_studies

RUN_ID = "digits-aaaaaa"
ANA = Actor("ana", "desk", "submit")
STUDY = StudyRecord("outside", "digits", "val_accuracy", "maximize", {}, T0, origin="studies.json")


@pytest.fixture
def clock():
    return ManualClock(T0)


@pytest.fixture(params=KINDS)
def url(request, tmp_path):
    with empty_database(request.param, tmp_path) as made:
        yield made


@pytest.fixture
def store(url, clock):
    opened = Store.open(url, ANA, clock)
    yield opened
    opened.close()


def held(store):
    return store.lease(RUN_ID, "me", T0, T0 + timedelta(seconds=20))


def told(store, run_id=RUN_ID):
    """Field, before, after and cause of each change of a run."""
    return [(c.field, c.before, c.after, c.cause) for c in store.changes(run_id)]


def ended(hours=1.0, **changes):
    return attempt(state=AttemptState.COMPLETED, ended_at=at(hours), end_reason="exit code 0", **changes)


def charges_of(one):
    return book(one, [Span(one.launched_at, one.ended_at, Category.PRODUCTIVE)])


def test_a_submission_is_told_with_who_and_when(store):
    store.add_run(run(reserved_usd=Decimal("0.70"), budget_usd=Decimal(2)), "key")
    assert told(store) == [
        ("state", None, "waiting", "submitted"),
        ("budget_usd", None, "2", "submitted"),
        ("reserved_usd", None, "0.70", "submitted"),
        ("budget_spent", None, "false", "submitted"),
    ]
    assert {(c.actor, c.at, c.subject_id) for c in store.changes(RUN_ID)} == {(ANA, T0, RUN_ID)}


def test_a_submission_that_is_refused_or_there_already_is_no_change(store):
    with pytest.raises(RefusedError):
        store.add_run(run(reserved_usd=Decimal(2)), "key", TeamLimit(Decimal(1), T0))
    assert told(store) == []
    store.add_run(run(), "key")
    before = told(store)
    store.add_run(run("another"), "key")
    assert told(store) == before
    assert told(store, "another") == []


def test_a_cancel_is_told_once_by_who_asked(store, url, clock):
    store.add_run(run(), "key")
    clock.moment = at(1)
    other = Store.open(url, Actor("bob", "laptop", "cancel"), clock)
    for _ in range(2):
        other.request_cancel(RUN_ID)
    other.close()
    change = store.changes(RUN_ID)[-1]
    assert (change.field, change.before, change.after) == ("cancel_requested", "false", "true")
    assert (change.actor.user, change.actor.command, change.at) == ("bob", "cancel", at(1))
    assert [c.field for c in store.changes(RUN_ID)].count("cancel_requested") == 1


def test_states_and_reserved_money_of_a_run_are_told_with_their_cause(store):
    store.add_run(run(reserved_usd=Decimal("0.70")), "key")
    lease = held(store)
    skip = len(told(store))
    store.save_run(run(state=RunState.RUNNING, reserved_usd=Decimal("0.70")), lease, "the cheapest")
    store.save_run(run(state=RunState.RUNNING, reserved_usd=Decimal("0.70"), wait_until=at(1)), lease)  # no state
    store.save_run(run(state=RunState.COMPLETED, end_reason="all work is done"), lease)
    assert told(store)[skip:] == [
        ("state", "waiting", "running", "the cheapest"),
        ("state", "running", "completed", "all work is done"),
        ("reserved_usd", "0.700000", "0", "all work is done"),
    ]


def test_states_of_an_attempt_and_its_money_are_told(store):
    store.add_run(run(), "key")
    lease, skip = held(store), len(told(store))
    store.save_attempt(attempt(state=AttemptState.LAUNCHING), lease)
    store.save_attempt(attempt(state=AttemptState.RUNNING), lease)
    store.save_attempt(attempt(state=AttemptState.RUNNING, migrating=True), lease, cause="cheaper in zone b")
    store.save_attempt(ended(), lease, charges_of(ended()))
    assert told(store)[skip:] == [
        ("state", None, "launching", "the cheapest"),
        ("migrating", None, "false", "the cheapest"),
        ("state", "launching", "running", ""),
        ("migrating", "false", "true", "cheaper in zone b"),
        ("state", "running", "completed", "exit code 0"),
        ("migrating", "true", "false", "exit code 0"),
        ("booked_usd", None, "0.200000", "exit code 0"),
    ]


def test_charges_that_are_replaced_are_told_with_both_sums_and_equal_ones_not_at_all(store):
    store.add_run(run(), "key")
    lease = held(store)
    for _ in range(2):
        store.save_attempt(ended(), lease, charges_of(ended()))
    skip = len(told(store))
    store.save_attempt(ended(2.0), lease, charges_of(ended(2.0)))
    assert told(store)[skip:] == [("booked_usd", "0.200000", "0.400000", "exit code 0")]
    assert sum(charge.amount_usd for charge in store.charges(RUN_ID)) == Decimal("0.4")


def test_charges_of_the_same_sum_that_bought_something_else_are_replaced(store):
    store.add_run(run(), "key")
    lease, one = held(store), ended()
    store.save_attempt(one, lease, charges_of(one))
    lost = book(one, [Span(one.launched_at, one.ended_at, Category.LOST_WORK)])
    store.save_attempt(one, lease, lost)
    assert store.charges(RUN_ID) == list(lost)


def test_who_has_lost_the_lease_leaves_no_line(store):
    store.add_run(run(), "key")
    old = held(store)
    held(store)
    before = store.changes()
    for write in (lambda: store.save_run(run(state=RunState.RUNNING), old), lambda: store.save_attempt(ended(), old)):
        with pytest.raises(LeaseLostError):
            write()
    assert store.changes() == before


def test_studies_that_come_change_and_go_are_told_by_their_digests(store):
    add_studies(store, [STUDY], refused=str)
    store.save_study(STUDY)  # the very same
    store.save_study(replace(STUDY, metric="loss"))
    forget_studies(store, ["outside"])
    lines = [(c.before, c.after, c.cause) for c in store.changes() if c.subject == "study"]
    assert [cause for _, _, cause in lines] == ["imported from studies.json", "kept for later sweeps", "forgotten"]
    assert lines[0][0] is None
    assert (lines[0][1], lines[1][1]) == (lines[1][0], lines[2][0])
    assert lines[2][1] is None
    assert lines[0][1] != lines[1][1]


def test_what_the_gate_says_and_how_a_night_goes_is_told(store):
    nights = SqlOccurrences(store)
    nights.begin("digits", "2026-11-30", RUN_ID, T0)
    record_judgement(store, Judgement("digits", RUN_ID, "loss", 0.1, None, True, "the first", T0))
    record_judgement(store, Judgement("digits", RUN_ID, "loss", 0.1, 0.05, False, "worse", T0))
    nights.finish("digits", "2026-11-30", OccurrenceOutcome.KEPT, "worse", at(1))
    assert told(store) == [
        ("state", None, "begun", ""),
        ("promoted", None, "true", "the first"),
        ("promoted", "true", "false", "worse"),
        ("state", "begun", "kept", "worse"),
    ]


def test_the_history_is_asked_by_run_by_moment_and_for_the_newest(store, clock):
    store.add_run(run("one"), "one")
    clock.moment = at(1)
    store.add_run(run("two"), "two")
    assert {c.run_id for c in store.changes("two")} == {"two"}
    assert {c.run_id for c in store.changes(since=at(1))} == {"two"}
    assert {c.run_id for c in store.changes(since=T0)} == {None, "one", "two"}  # None: that the store was made
    assert store.changes(limit=2) == store.changes()[-2:]


def test_text_that_no_database_can_hold_is_told_readably(store):
    store.add_run(run(), "key")
    store.save_run(run(state=RunState.FAILED, end_reason="\x00 core dumped"), held(store))
    assert store.changes(RUN_ID)[-1].cause == "\ufffd core dumped"
