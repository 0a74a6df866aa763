from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.retraining.calendar import Calendar

BERLIN = Calendar("02:30", timezone="Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "latest", "following"),
    [
        ("2026-11-23 01:59:59", "2026-11-22 02:00", "2026-11-23 02:00"),
        ("2026-11-23 02:00:00", "2026-11-23 02:00", "2026-11-24 02:00"),  # due in this very moment
        ("2026-11-23 23:00:00", "2026-11-23 02:00", "2026-11-24 02:00"),
        ("2026-01-01 00:00:00", "2025-12-31 02:00", "2026-01-01 02:00"),
    ],
)
def test_due_every_day(now: str, latest: str, following: str) -> None:
    calendar = Calendar("02:00")
    assert calendar.latest_due(utc(now)) == utc(latest)
    assert calendar.next_due(utc(now)) == utc(following)


def test_only_on_the_named_weekdays() -> None:
    calendar = Calendar("02:00", days=("mon", "thu"))  # 2026-11-23 is a Monday
    assert calendar.latest_due(utc("2026-11-25 12:00")) == utc("2026-11-23 02:00")
    assert calendar.next_due(utc("2026-11-25 12:00")) == utc("2026-11-26 02:00")
    assert calendar.next_due(utc("2026-11-26 02:00")) == utc("2026-11-30 02:00")


def test_the_weekday_is_the_local_one() -> None:
    """Monday 02:00 in Auckland is still Sunday in UTC."""
    calendar = Calendar("02:00", days=("mon",), timezone="Pacific/Auckland")
    due = calendar.latest_due(utc("2026-11-23 12:00"))
    assert due == utc("2026-11-22 13:00")
    assert calendar.occurrence_id(due) == "2026-11-23"


@pytest.mark.parametrize(
    ("day", "due"),
    [
        ("2026-03-28", "2026-03-28 01:30"),  # winter time, UTC+1
        ("2026-03-29", "2026-03-29 01:30"),  # 02:30 does not exist: 03:30 summer time
        ("2026-03-30", "2026-03-30 00:30"),  # summer time, UTC+2
        ("2026-10-25", "2026-10-25 00:30"),  # 02:30 exists twice: the first
        ("2026-10-26", "2026-10-26 01:30"),
    ],
)
def test_a_time_that_is_skipped_or_doubled_fires_exactly_once(day: str, due: str) -> None:
    """02:30 Europe/Berlin, walked minute by minute over the day: one change of the latest due moment, at ``due``."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=2)
    minutes = [start + timedelta(minutes=m) for m in range(24 * 60)]
    fired = {BERLIN.latest_due(now) for now in minutes} - {BERLIN.latest_due(start - timedelta(minutes=1))}
    assert fired == {utc(due)}
    assert BERLIN.occurrence_id(utc(due)) == day


def test_a_skipped_time_before_midnight_keeps_its_date() -> None:
    """In Nuuk the clocks went from 23:00 on 30 March 2024 to midnight: 23:30 fires on the 31st, for the 30th."""
    calendar = Calendar("23:30", timezone="America/Nuuk")
    due = calendar.due_at("2024-03-30")
    assert due == utc("2024-03-31 01:30")
    assert calendar.occurrence_id(due) == "2024-03-30"
    assert calendar.occurrence_id(calendar.next_due(due)) == "2024-03-31"


def test_a_date_that_never_was_does_not_fire() -> None:
    """Samoa had no 30 December 2011."""
    calendar = Calendar("02:00", timezone="Pacific/Apia")
    moments = calendar.missed_between(utc("2011-12-28 12:00"), utc("2012-01-02 00:00"))
    assert [calendar.occurrence_id(moment) for moment in moments] == [
        "2011-12-29",
        "2011-12-31",
        "2012-01-01",
        "2012-01-02",
    ]


def test_missed_moments_lie_strictly_between() -> None:
    calendar = Calendar("02:00")
    missed = calendar.missed_between(utc("2026-11-20 02:00"), utc("2026-11-23 02:00"))
    assert missed == [utc("2026-11-21 02:00"), utc("2026-11-22 02:00")]
    assert calendar.missed_between(utc("2026-11-22 02:00"), utc("2026-11-23 02:00")) == []


@settings(deadline=None)
@given(
    now=st.integers(0, 10 * 365 * 86_400).map(lambda s: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
    at=st.times().map(lambda t: t.strftime("%H:%M")),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
    days=st.sampled_from([None, ("mon",), ("sat", "sun"), ("tue", "thu", "fri")]),
)
def test_latest_and_next_enclose_now_with_nothing_between(
    now: datetime, at: str, zone: str, days: tuple[str, ...] | None
) -> None:
    calendar = Calendar(at, days, zone)
    latest, following = calendar.latest_due(now), calendar.next_due(now)
    assert latest <= now < following
    assert calendar.next_due(latest) == following
    assert calendar.latest_due(following - timedelta(microseconds=1)) == latest
    assert calendar.due_at(calendar.occurrence_id(latest)) == latest
    assert calendar.occurrence_id(latest) < calendar.occurrence_id(following)


def test_a_moment_at_which_nothing_is_due_has_no_id() -> None:
    with pytest.raises(ValueError, match="nothing is due"):
        Calendar("02:00").occurrence_id(utc("2026-11-23 02:01"))


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Calendar("02:00").latest_due(datetime(2026, 11, 23))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"at": "25:00"}, "25:00"),
        ({"at": "2:00 am"}, "2:00 am"),
        ({"days": ()}, "days"),
        ({"days": ("montag",)}, "montag"),
        ({"timezone": "Europe/Atlantis"}, "Atlantis"),
        ({"timezone": "Europe"}, "Europe"),  # a folder of the zone database
        ({"timezone": "../etc"}, "etc"),
    ],
)
def test_what_cannot_be_is_named(settings: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Calendar(**settings)


def test_a_moment_is_shown_as_its_zone_reads_it() -> None:
    assert BERLIN.show(utc("2026-11-24 01:30")) == "2026-11-24 02:30 Europe/Berlin"
