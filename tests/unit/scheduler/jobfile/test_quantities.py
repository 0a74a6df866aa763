from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotwise.checkpoints import Every, Unit
from spotwise.scheduler.jobfile import quantities
from spotwise.scheduler.jobfile.quantities import Deadline

DURATIONS = "a duration such as 45s, 90m, 18h, 1h30m, 2d or 1w"
TIMESTAMPS = "a timestamp with its zone such as 2026-03-01T06:00:00Z"
MONEY = "an amount in US dollars such as 40 USD, $40 or 40"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("45s", timedelta(seconds=45)),
        ("0.5s", timedelta(seconds=0.5)),
        ("90m", timedelta(minutes=90)),
        ("18h", timedelta(hours=18)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("1.5H", timedelta(minutes=90)),
        ("2d", timedelta(hours=48)),
        ("1w", timedelta(hours=168)),
        ("0s", timedelta(0)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert quantities.parse_duration(text) == expected


@pytest.mark.parametrize("value", ["", "18", "h", "-1h", "30m1h", "1h1h", "1 hour", "1y", "1:30", 18, None, True, []])
def test_what_is_no_duration_is_a_fault(value: object) -> None:
    with pytest.raises(ValueError, match="allowed: a duration such as 45s"):
        quantities.parse_duration(value)


def test_a_duration_beyond_ten_years_is_a_slip() -> None:
    with pytest.raises(ValueError, match="at most ten years"):
        quantities.parse_duration("99999999999999w")


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3660)))
def test_every_duration_survives_writing_and_reading(duration: timedelta) -> None:
    assert quantities.parse_duration(quantities.format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90, "1m30s"), (5400, "1h30m"), (172_800, "2d"), (0.25, "0.25s")]
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    assert quantities.format_duration(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("40 USD", "40"),
        ("40usd", "40"),
        ("USD 40", "40"),
        ("$40", "40"),
        ("$ 40.50", "40.50"),
        ("40", "40"),
        (40, "40"),
        (0.1, "0.1"),  # as written, not the nearest binary fraction
        ("1,250.75 USD", "1250.75"),
        ("0 USD", "0"),
    ],
)
def test_money(value: object, expected: str) -> None:
    assert quantities.parse_money(value) == Decimal(expected)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("40 EUR", f"found '40 EUR', which is not in USD; allowed: {MONEY}"),
        ("€40", f"found '€40', which is not in USD; allowed: {MONEY}"),
        ("-1 USD", f"found '-1 USD'; allowed: {MONEY}, not below 0"),
        ("$-1", f"found '$-1'; allowed: {MONEY}, not below 0"),
        (-0.5, f"found -0.5; allowed: {MONEY}, not below 0"),
        ("plenty", f"found 'plenty'; allowed: {MONEY}"),
        ("1,25", f"found '1,25'; allowed: {MONEY}"),
        (True, f"found true; allowed: {MONEY}"),
        (None, f"found nothing; allowed: {MONEY}"),
        ([40], f"found a list; allowed: {MONEY}"),
        (float("nan"), f"found nan; allowed: {MONEY}"),
        (float("inf"), f"found inf; allowed: {MONEY}"),
    ],
)
def test_what_is_no_money(value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        quantities.parse_money(value)
    assert str(caught.value) == message


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_every_amount_survives_writing_and_reading(amount: Decimal) -> None:
    assert quantities.parse_money(f"{amount:f} USD") == amount


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_an_amount_reads_the_same_however_it_is_written(dollars: int, cents: int) -> None:
    expected = Decimal(f"{dollars}.{cents:02}")
    for text in (f"${dollars}.{cents:02}", f"{dollars}.{cents:02} USD", f"{dollars:,}.{cents:02}"):
        assert quantities.parse_money(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2 epochs", Every(2, Unit.EPOCHS)),
        ("1 epoch", Every(1, Unit.EPOCHS)),
        ("500 steps", Every(500, Unit.STEPS)),
        ("15 minutes", Every(15, Unit.MINUTES)),
        ("15min", Every(15, Unit.MINUTES)),
        ("auto", None),
    ],
)
def test_every(text: str, expected: Every | None) -> None:
    assert quantities.parse_every(text) == expected


@pytest.mark.parametrize("value", ["0 epochs", "2", 2, "2 hours", "epochs", "-1 steps", "1.5 epochs", None])
def test_what_is_no_interval_is_a_fault(value: object) -> None:
    with pytest.raises(ValueError, match="allowed: N epochs, N steps, N minutes or auto"):
        quantities.parse_every(value)


@given(st.builds(Every, st.integers(1, 10**9), st.sampled_from(Unit)))
def test_every_interval_survives_writing_and_reading(every: Every) -> None:
    assert quantities.parse_every(str(every)) == every


def test_a_deadline_is_a_duration_or_a_moment() -> None:
    assert quantities.parse_deadline("18h") == Deadline(duration=timedelta(hours=18))
    moment = datetime(2026, 3, 1, 5, tzinfo=UTC)
    assert quantities.parse_deadline("2026-03-01T05:00:00Z") == Deadline(at=moment)
    assert quantities.parse_deadline("2026-03-01 06:00:00+01:00") == Deadline(at=moment)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0h", "found '0h', which leaves no time; allowed: more than 0s"),
        (18, f"found 18; allowed: {DURATIONS}, or {TIMESTAMPS}"),
        ("tomorrow", f"found 'tomorrow'; allowed: {DURATIONS}, or {TIMESTAMPS}"),
        ("2026-03-01T06:00", f"found '2026-03-01T06:00', a timestamp without a zone; allowed: {TIMESTAMPS}"),
        ("2026-03-01", f"found '2026-03-01', a timestamp without a zone; allowed: {TIMESTAMPS}"),
        ("2026-02-30T06:00Z", f"found '2026-02-30T06:00Z', which is no moment; allowed: {TIMESTAMPS}"),
    ],
)
def test_what_is_no_deadline(value: object, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        quantities.parse_deadline(value)
    assert str(caught.value) == message


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001
def test_every_moment_survives_writing_and_reading(moment: datetime) -> None:
    deadline = Deadline(at=moment)
    assert quantities.parse_deadline(str(deadline)) == deadline


@pytest.mark.parametrize(("hour_s", "after"), [(3600, timedelta(hours=18)), (Decimal(10), timedelta(seconds=180))])
def test_a_duration_counts_billed_hours(hour_s: Decimal | float, after: timedelta) -> None:
    """18 h on a market whose hour lasts 10 s are 180 s of wall clock."""
    submitted = datetime(2026, 1, 1, tzinfo=UTC)
    assert quantities.parse_deadline("18h").resolve(submitted, hour_s) == submitted + after


def test_a_moment_stays_where_it_is_on_any_market() -> None:
    moment = datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert Deadline(at=moment).resolve(datetime(2026, 1, 1, tzinfo=UTC), 10) == moment


@pytest.mark.parametrize(("value", "expected"), [("02:00", "02:00"), ("2:05", "02:05"), ("23:59", "23:59")])
def test_times_of_day(value: str, expected: str) -> None:
    assert quantities.parse_time_of_day(value) == expected


@pytest.mark.parametrize("value", ["24:00", "12:60", "12", "noon", 120, None])
def test_what_is_no_time_of_day_is_a_fault(value: object) -> None:
    with pytest.raises(ValueError, match="allowed: a time of day from 00:00 to 23:59"):
        quantities.parse_time_of_day(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "nothing"), (True, "true"), ({}, "an empty mapping"), ([1], "a list"), (3, "3"), ("x", "'x'")],
)
def test_values_are_named_in_the_words_of_yaml(value: object, expected: str) -> None:
    assert quantities.shown(value) == expected


def test_a_long_value_is_shown_in_part() -> None:
    assert len(quantities.shown("x" * 1000)) == 60
