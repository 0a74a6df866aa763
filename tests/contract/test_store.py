"""What every database behind the store must do: SQLite always, PostgreSQL where SPOTWISE_TEST_POSTGRES names one."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from databases import KINDS, empty_database
from factories import T0, at, attempt, offer, run

from spotwise.cost_models.offer import Market
from spotwise.scheduler.accounting.ledger import Category, Span, book
from spotwise.scheduler.accounting.team_month import Money
from spotwise.scheduler.core.errors import InputError, LeaseLostError, NotFoundError, RefusedError, StoreError
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.remaining import ChanceOf, Remaining
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.store import RunEvent, Store, TeamLimit
from spotwise.scheduler.store.studies import Added, add_studies, forget_studies, study_of

TTL = timedelta(seconds=20)


@pytest.fixture(params=KINDS)
def store(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        opened = Store.open(url)
        yield opened
        opened.close()


def held(store, run_id="digits-aaaaaa", owner="me"):
    return store.lease(run_id, owner, T0, T0 + TTL)


def ended_with_charges():
    ended = attempt(state=AttemptState.COMPLETED, ended_at=at(1), offer=offer(price="0.123457"))
    return ended, book(ended, [Span(T0, at(1), Category.PRODUCTIVE)])


def test_a_run_comes_back_as_it_went_in(store):
    given = run(deadline_at=at(5), budget_usd=Decimal("12.34"), predicted_usd=Decimal("1.000001"), predicted_hours=2.5)
    store.add_run(given, "key")
    assert store.run(given.id) == given


def test_the_same_job_file_submitted_twice_is_one_run(store):
    first = store.add_run(run("one"), "same file")
    assert store.add_run(run("two"), "same file") == first
    assert [r.id for r in store.runs()] == ["one"]


def test_submitted_at_once_by_many_it_is_still_one_run(store):
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda i=i: found.append(store.add_run(run(f"run-{i}"), "same file").id))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(store.runs()) == 1


LIMIT = TeamLimit(Decimal("1.00"), T0)


def test_a_team_cannot_commit_more_than_its_budget(store):
    store.add_run(run("one", reserved_usd=Decimal("0.70")), "one", LIMIT)
    assert store.team_month("vision", Money.REAL, T0).committed_usd == Decimal("0.70")
    with pytest.raises(RefusedError, match=r"0\.30 USD left"):
        store.add_run(run("two", reserved_usd=Decimal("0.31")), "two", LIMIT)
    store.add_run(run("three", reserved_usd=Decimal("0.30")), "three", LIMIT)


def test_a_run_is_admitted_by_what_it_sets_aside_and_not_by_what_is_expected(store):
    """Expected 0.60 of 1.00, and 1.10 set aside: two that are admitted can never have set aside more than there is."""
    with pytest.raises(RefusedError, match=r"1\.00 USD left this month, and it would set aside 1\.10 USD"):
        store.add_run(run("one", predicted_usd=Decimal("0.60"), reserved_usd=Decimal("1.10")), "one", LIMIT)


def test_the_last_money_is_taken_once_by_many_at_once(store):
    results: list[str] = []

    def submit(n):
        wanted = run(f"run-{n}", predicted_usd=Decimal("0.60"), reserved_usd=Decimal("0.60"))
        try:
            results.append(store.add_run(wanted, f"key-{n}", LIMIT).id)
        except RefusedError:
            results.append("refused")

    threads = [threading.Thread(target=submit, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("refused") == 5


def test_a_run_of_unknown_cost_sets_its_budget_aside(store):
    with pytest.raises(RefusedError, match=r"set aside 2\.00"):
        store.add_run(run("one", reserved_usd=Decimal(2)), "one", LIMIT)


def test_an_expired_lease_has_no_owner(store):
    store.add_run(run(), "key")
    held(store, owner="one")
    assert store.lease_owner("digits-aaaaaa", T0) == "one"
    assert store.lease_owner("digits-aaaaaa", T0 + TTL) == ""


def test_what_is_spent_is_not_reserved_twice(store):
    """Reserved 0.70, of which 0.123457 is booked: still 0.70 until the run ends, then what it cost."""
    store.add_run(run(reserved_usd=Decimal("0.70")), "key")
    lease = held(store)
    ended, charges = ended_with_charges()
    store.save_attempt(ended, lease, charges)
    assert store.team_month("vision", Money.REAL, T0).committed_usd == Decimal("0.70")
    store.save_run(run(state=RunState.COMPLETED, reserved_usd=Decimal("0.70")), lease)
    assert store.team_month("vision", Money.REAL, T0).committed_usd == Decimal("0.123457")
    assert store.team_month("vision", Money.REAL, T0 + timedelta(days=31)).committed_usd == 0


def test_what_is_left_of_a_run_is_replaced_by_what_is_left_now(store):
    store.add_run(run(), "key")
    lease = held(store)
    assert store.remaining("digits-aaaaaa") is None
    first = Remaining(
        T0, 0.5, "aws/a/spot", Market.SPOT, True, Decimal("1.000001"), Decimal(1), Decimal(2), None, None, None
    )
    store.save_remaining("digits-aaaaaa", first, lease)
    assert store.remaining("digits-aaaaaa") == first
    second = replace(first, share=0.4, on_demand_usd=Decimal(3), chance_to_meet_deadline=0.9, chance_of=ChanceOf.HELD)
    store.save_remaining("digits-aaaaaa", second, lease)
    assert store.remaining("digits-aaaaaa") == second
    assert held(store) is not None  # the lease changes hands
    with pytest.raises(LeaseLostError):
        store.save_remaining("digits-aaaaaa", first, lease)


def test_an_ended_run_frees_its_job_file(store):
    store.add_run(run("one"), "same file")
    store.save_run(run("one", state=RunState.COMPLETED), held(store, "one"))
    assert store.add_run(run("two"), "same file").id == "two"
    assert [r.id for r in store.runs(active=True)] == ["two"]


def test_nobody_gets_the_lease_of_a_run_that_has_ended(store):
    """Free, expired or the last holder's own: whoever saw the run active a moment ago must not start it anew."""
    store.add_run(run("one"), "same file")
    lease = held(store, "one")
    store.save_run(run("one", state=RunState.COMPLETED), lease)
    assert store.lease("one", "other", T0 + 2 * TTL, T0 + 3 * TTL) is None
    assert held(store, "one") is None
    store.release("one", "me")
    assert store.lease("one", "other", T0, T0 + TTL) is None
    assert store.lease_owner("one", T0) == ""


def test_an_unknown_run_is_named(store):
    with pytest.raises(NotFoundError, match="nope"):
        store.run("nope")


def test_only_one_supervisor_holds_a_run(store):
    store.add_run(run(), "key")
    assert held(store, owner="one") is not None
    assert held(store, owner="two") is None


def test_an_expired_lease_can_be_taken_and_the_old_holder_cannot_write_any_more(store):
    store.add_run(run(), "key")
    old = held(store, owner="one")
    new = store.lease("digits-aaaaaa", "two", T0 + TTL, T0 + 2 * TTL)
    assert new is not None
    with pytest.raises(LeaseLostError):
        store.save_run(run(state=RunState.RUNNING), old)
    with pytest.raises(LeaseLostError):
        store.save_attempt(attempt(), old)
    with pytest.raises(LeaseLostError):
        store.renew(old, T0 + 9 * TTL)
    assert store.attempts() == []
    store.save_run(run(state=RunState.RUNNING), new)


def test_a_supervisor_that_comes_back_under_its_name_gets_a_new_fence(store):
    """Two processes can never both believe in a lease, even if they share a name."""
    store.add_run(run(), "key")
    old, new = held(store), held(store)
    with pytest.raises(LeaseLostError):
        store.save_run(run(), old)
    store.save_run(run(), new)


def test_released_leases_are_free(store):
    store.add_run(run(), "key")
    held(store, owner="one")
    store.release("digits-aaaaaa", "one")
    assert held(store, owner="two") is not None


def test_many_supervisors_at_once_get_one_lease(store):
    store.add_run(run(), "key")
    taken: list[object] = []
    threads = [
        threading.Thread(target=lambda i=i: taken.append(held(store, owner=f"supervisor {i}"))) for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in taken) == 1


def test_an_attempt_and_its_charges_come_back_to_the_last_digit(store):
    store.add_run(run(), "key")
    ended, charges = ended_with_charges()
    store.save_attempt(ended, held(store), charges)
    assert store.attempts(ended.run_id) == [ended]
    assert store.charges(ended.run_id) == list(charges)


def test_booking_an_attempt_again_does_not_charge_twice(store):
    store.add_run(run(), "key")
    lease = held(store)
    ended, charges = ended_with_charges()
    for _ in range(2):
        store.save_attempt(ended, lease, charges)
    assert len(store.charges()) == len(charges)


def test_a_cancel_request_survives_what_the_supervisor_writes(store):
    store.add_run(run(), "key")
    lease = held(store)
    store.request_cancel("digits-aaaaaa")
    store.save_run(run(state=RunState.RUNNING), lease)
    assert store.run("digits-aaaaaa").cancel_requested


def test_reasons_are_kept_in_order(store):
    store.add_run(run(), "key")
    for n in range(3):
        store.note(RunEvent("digits-aaaaaa", at(n), EventKind.PLACED, f"reason {n}", f"attempt {n}"))
    assert [e.message for e in store.events("digits-aaaaaa")] == ["reason 0", "reason 1", "reason 2"]


def test_the_kind_of_an_event_is_a_value_and_one_of_a_newer_version_stays_text(store):
    store.add_run(run(), "key")
    for kind in (EventKind.PREEMPTED, "teleported"):
        store.note(RunEvent("digits-aaaaaa", T0, kind, "why"))
    known, unknown = store.events("digits-aaaaaa")
    assert known.kind is EventKind.PREEMPTED
    assert unknown.kind == "teleported"


@pytest.mark.parametrize("cause", [None, *EndCause])
def test_the_cause_of_an_end_comes_back_as_it_went_in(store, cause):
    store.add_run(run(), "key")
    ended = attempt(state=AttemptState.LOST, ended_at=at(1), end_cause=cause)
    store.save_attempt(ended, held(store))
    assert store.attempts("digits-aaaaaa") == [ended]


def test_a_study_is_replaced_whole(store):
    trial = TrialRecord(0, {"lr": 0.1}, TrialState.COMPLETED, 0.9, 3, ((1, 0.5), (3, 0.9)), cost_usd=Decimal("0.25"))
    study = StudyRecord("s", "digits", "val_accuracy", "maximize", {"lr": {"type": "float"}}, T0, {"team": "v"})
    store.save_study(study)
    store.save_study(replace(study, trials=(trial,)))
    assert store.studies() == [replace(study, trials=(trial,))]


def study(study_id: str = "s", **changes) -> StudyRecord:
    return replace(
        StudyRecord(study_id, "digits", "val_accuracy", "maximize", {"lr": {"type": "float"}}, T0), **changes
    )


def taken(record: StudyRecord) -> str:
    return f"{record.id} is taken"


def test_studies_are_added_all_or_none(store):
    store.save_study(study("old"))
    with pytest.raises(InputError, match=r"^old is taken$"):
        add_studies(store, [study("new"), study("old", metric="loss")], refused=taken)
    assert store.studies() == [study("old")]


def test_the_same_study_is_added_once(store):
    records = [study("a", origin="here"), study("b")]
    assert add_studies(store, records, refused=taken) == {"a": Added.NEW, "b": Added.NEW}
    again = [study("a", origin="elsewhere"), study("b"), study("c"), study("c")]
    assert add_studies(store, again, refused=taken) == {"a": Added.UNCHANGED, "b": Added.UNCHANGED, "c": Added.NEW}
    assert store.studies() == [*records, study("c")]


def test_imported_by_many_at_once_a_study_is_there_once(store):
    found: list[Added] = []
    records = [study(str(n)) for n in range(20)]
    threads = [
        threading.Thread(target=lambda: found.extend(add_studies(store, records, refused=taken).values()))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (found.count(Added.NEW), found.count(Added.UNCHANGED)) == (20, 60)


def test_the_id_of_an_active_run_is_its_own(store):
    store.add_run(run("digits-1"), "key")
    with pytest.raises(InputError, match="taken"):
        add_studies(store, [study("digits-1")], refused=taken)


def test_studies_are_forgotten_all_or_none(store):
    for study_id in ("a", "b", "c"):
        store.save_study(study(study_id))
    with pytest.raises(NotFoundError, match=r"no study is called 'x': .*studies list"):
        forget_studies(store, ["a", "x"])
    assert len(store.studies()) == 3
    forget_studies(store, ["a", "b"])
    assert store.studies() == [study_of(store, "c")]


def test_the_study_of_a_run_that_goes_on_is_not_forgotten(store):
    """A supervisor keeps the study just before it ends the run, and may die in between."""
    store.add_run(run("digits-1"), "key")
    store.save_study(study("digits-1"))
    with pytest.raises(InputError, match=r"digits-1 is not forgotten: its run goes on; .*spotwise cancel digits-1"):
        forget_studies(store, ["digits-1"])
    store.save_run(run("digits-1", state=RunState.COMPLETED), held(store, "digits-1"))
    forget_studies(store, ["digits-1"])
    assert store.studies() == []
    assert store.run("digits-1").state is RunState.COMPLETED


def test_an_amount_finer_than_a_micro_dollar_is_refused(store):
    with pytest.raises((ValueError, StoreError), match="micro-dollar"):
        store.add_run(run(budget_usd=Decimal("0.0000001")), "key")


def test_a_moment_without_zone_is_refused(store):
    with pytest.raises((ValueError, StoreError), match="no zone"):
        store.add_run(run(submitted_at=T0.replace(tzinfo=None)), "key")


def test_words_that_no_database_can_hold_are_kept_readable(store):
    """A crashed program's last lines may hold anything, and its run must still end."""
    store.add_run(run(), "key")
    lease = held(store)
    store.note(RunEvent("digits-aaaaaa", at(0), EventKind.FAILED, "loss\x00=\udcff nan"))
    store.save_run(run(state=RunState.FAILED, end_reason="\x00 core dumped"), lease)
    assert store.events("digits-aaaaaa")[0].message == "loss\ufffd=\ufffd nan"
    assert store.run("digits-aaaaaa").end_reason == "\ufffd core dumped"
