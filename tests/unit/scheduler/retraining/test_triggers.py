from __future__ import annotations

from datetime import UTC, datetime

import pytest

from spotwise.scheduler.retraining.calendar import Calendar
from spotwise.scheduler.retraining.occurrences import OccurrenceOutcome, OccurrenceRecord
from spotwise.scheduler.retraining.triggers import Fired, NotFired, evaluate

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
CALENDAR = Calendar("02:00")


def finished(occurrence_id: str, outcome: OccurrenceOutcome = OccurrenceOutcome.KEPT) -> OccurrenceRecord:
    return OccurrenceRecord("digits", occurrence_id, f"digits-{occurrence_id}", NOW, NOW, outcome)


def after(last: OccurrenceRecord | None, *, has_champion: bool = True) -> Fired | NotFired:
    return evaluate(CALENDAR, NOW, last, has_champion=has_champion)


def test_without_a_champion_it_fires_at_once_and_says_so() -> None:
    fired = after(None, has_champion=False)
    assert isinstance(fired, Fired)
    assert fired.occurrence_id == "2026-11-23"
    assert fired.due_at == datetime(2026, 11, 23, 2, tzinfo=UTC)
    assert "first retraining, no champion yet" in fired.reason
    assert fired.missed == ()


def test_it_fires_for_the_night_after_the_last_finished_one() -> None:
    fired = after(finished("2026-11-22"))
    assert fired == Fired("due 2026-11-23 02:00 UTC", "2026-11-23", datetime(2026, 11, 23, 2, tzinfo=UTC))


def test_missed_nights_collapse_into_one_and_are_counted() -> None:
    fired = after(finished("2026-11-19"))
    assert isinstance(fired, Fired)
    assert fired.occurrence_id == "2026-11-23"
    assert fired.missed == ("2026-11-20", "2026-11-21", "2026-11-22")
    assert "stands in for 3 missed (2026-11-20 to 2026-11-22)" in fired.reason


@pytest.mark.parametrize(
    "outcome", [OccurrenceOutcome.PROMOTED, OccurrenceOutcome.KEPT, OccurrenceOutcome.FAILED, OccurrenceOutcome.REFUSED]
)
def test_a_finished_night_is_quiet_whatever_came_of_it(outcome: OccurrenceOutcome) -> None:
    quiet = after(finished("2026-11-23", outcome))
    assert isinstance(quiet, NotFired)
    assert f"2026-11-23 is done ({outcome}, run digits-2026-11-23)" in quiet.reason


def test_a_clock_set_back_fires_nothing() -> None:
    assert isinstance(after(finished("2026-11-25")), NotFired)
