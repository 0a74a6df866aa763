"""What every occurrence store promises. Add a store by adding a factory to STORES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from databases import KINDS, empty_database
from occurrences import MemoryOccurrences

from spotwise.scheduler.core.errors import StoreError
from spotwise.scheduler.retraining.occurrences import OccurrenceOutcome, OccurrenceRecord, OccurrenceStore
from spotwise.scheduler.store.nights import SqlOccurrences
from spotwise.scheduler.store.store import Store

# A factory gets an empty folder and returns a context manager that yields an empty store and disposes of it.
Factory = Callable[[Path], AbstractContextManager[OccurrenceStore]]


def memory(_folder: Path) -> AbstractContextManager[OccurrenceStore]:
    return nullcontext(MemoryOccurrences())


@contextmanager
def sql(kind: str, folder: Path) -> Iterator[OccurrenceStore]:
    with empty_database(kind, folder) as url:
        store = Store.open(url)
        yield SqlOccurrences(store)
        store.close()


STORES: dict[str, Factory] = {"memory": memory, **{kind: partial(sql, kind) for kind in KINDS}}

NIGHT = datetime(2026, 11, 23, 2, tzinfo=UTC)
LATER = NIGHT + timedelta(hours=1)
MODEL, FIRST, SECOND, THIRD = "digits", "2026-11-21", "2026-11-22", "2026-11-23"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OccurrenceStore]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


def test_an_empty_store_knows_nothing(store: OccurrenceStore) -> None:
    assert store.get(MODEL, FIRST) is None
    assert store.last_finished(MODEL) is None
    assert store.unfinished(MODEL) is None


def test_a_begun_occurrence_is_unfinished_and_keeps_its_run(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    assert store.get(MODEL, FIRST) == OccurrenceRecord(MODEL, FIRST, "r1", NIGHT)
    assert store.unfinished(MODEL) == store.get(MODEL, FIRST)
    assert store.last_finished(MODEL) is None


def test_beginning_the_same_run_again_changes_nothing(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    store.begin(MODEL, FIRST, "r1", LATER)
    assert store.get(MODEL, FIRST) == OccurrenceRecord(MODEL, FIRST, "r1", NIGHT)


def test_a_second_run_cannot_begin_beside_an_unfinished_one(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    with pytest.raises(StoreError):
        store.begin(MODEL, FIRST, "r2", LATER)
    assert store.get(MODEL, FIRST) == OccurrenceRecord(MODEL, FIRST, "r1", NIGHT)


@pytest.mark.parametrize(
    "outcome", [OccurrenceOutcome.PROMOTED, OccurrenceOutcome.KEPT, OccurrenceOutcome.FAILED, OccurrenceOutcome.REFUSED]
)
def test_an_outcome_is_stored_with_its_reason_and_time(store: OccurrenceStore, outcome: OccurrenceOutcome) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    store.finish(MODEL, FIRST, outcome, "because", LATER)
    assert store.last_finished(MODEL) == OccurrenceRecord(MODEL, FIRST, "r1", NIGHT, LATER, outcome, "because")
    assert store.unfinished(MODEL) is None


def test_finishing_twice_keeps_the_first_record(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    store.finish(MODEL, FIRST, OccurrenceOutcome.KEPT, "first", NIGHT)
    store.finish(MODEL, FIRST, OccurrenceOutcome.KEPT, "second", LATER)
    assert store.get(MODEL, FIRST) == OccurrenceRecord(
        MODEL, FIRST, "r1", NIGHT, NIGHT, OccurrenceOutcome.KEPT, "first"
    )


def test_an_outcome_cannot_be_changed(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    store.finish(MODEL, FIRST, OccurrenceOutcome.KEPT, "first", NIGHT)
    with pytest.raises(StoreError):
        store.finish(MODEL, FIRST, OccurrenceOutcome.FAILED, "second", LATER)


def test_what_never_began_cannot_finish(store: OccurrenceStore) -> None:
    with pytest.raises(StoreError):
        store.finish(MODEL, FIRST, OccurrenceOutcome.KEPT, "", NIGHT)


def test_a_finished_occurrence_opens_again_for_a_new_run_only(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    store.finish(MODEL, FIRST, OccurrenceOutcome.FAILED, "crashed", NIGHT)
    with pytest.raises(StoreError):
        store.begin(MODEL, FIRST, "r1", LATER)
    store.begin(MODEL, FIRST, "r2", LATER)
    assert store.unfinished(MODEL) == OccurrenceRecord(MODEL, FIRST, "r2", LATER)
    assert store.last_finished(MODEL) is None


def test_a_skipped_occurrence_has_a_reason_and_is_not_finished_work(store: OccurrenceStore) -> None:
    store.skip(MODEL, FIRST, "missed", NIGHT)
    assert store.get(MODEL, FIRST) == OccurrenceRecord(
        MODEL, FIRST, "", NIGHT, NIGHT, OccurrenceOutcome.SKIPPED, "missed"
    )
    assert store.last_finished(MODEL) is None
    assert store.unfinished(MODEL) is None


def test_skipping_never_overwrites(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    store.skip(MODEL, FIRST, "missed", LATER)
    assert store.get(MODEL, FIRST) == OccurrenceRecord(MODEL, FIRST, "r1", NIGHT)


def test_a_skipped_occurrence_can_begin_after_all(store: OccurrenceStore) -> None:
    store.skip(MODEL, FIRST, "missed", NIGHT)
    store.begin(MODEL, FIRST, "r1", LATER)
    assert store.unfinished(MODEL) == OccurrenceRecord(MODEL, FIRST, "r1", LATER)


def test_last_finished_goes_by_id_and_unfinished_by_the_oldest(store: OccurrenceStore) -> None:
    for occurrence_id in (THIRD, FIRST):
        store.begin(MODEL, occurrence_id, f"r-{occurrence_id}", NIGHT)
    assert store.unfinished(MODEL) == store.get(MODEL, FIRST)
    for moment, occurrence_id in ((NIGHT, THIRD), (LATER, FIRST)):
        store.finish(MODEL, occurrence_id, OccurrenceOutcome.KEPT, "", moment)
    store.begin(MODEL, SECOND, "r2", LATER)
    last, begun = store.last_finished(MODEL), store.unfinished(MODEL)
    assert last is not None and last.occurrence_id == THIRD
    assert begun is not None and begun.occurrence_id == SECOND


def test_models_are_apart(store: OccurrenceStore) -> None:
    store.begin(MODEL, FIRST, "r1", NIGHT)
    store.finish(MODEL, FIRST, OccurrenceOutcome.KEPT, "", NIGHT)
    store.begin(MODEL, SECOND, "r2", NIGHT)
    assert store.get("other", FIRST) is None
    assert store.last_finished("other") is None
    assert store.unfinished("other") is None
