"""What every source of prices keeps to, whatever its cloud, the network or the account does.

A new source joins by a line in `BENCHES` of tests/support/source_benches.py.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from source_benches import BENCHES, SourceBench
from source_faults import Fault

from spotwise.cost_models.sources.base import CapacityKind, CapacitySignal, HazardWitness, Quote, Reading

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
RANGES = {
    CapacityKind.PLACEMENT_SCORE: (1, 10),
    CapacityKind.SUPPORTABILITY: (0, 3),
    CapacityKind.OBTAINABILITY: (0, 1),
}
SILENT = [fault for fault in Fault if fault not in (Fault.BAD_NUMBERS, Fault.HANGS)]


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceBench]:
    with BENCHES[request.param](monkeypatch) as found:
        yield found


def is_utc(moment: datetime) -> bool:
    return moment.utcoffset() == timedelta()


def check_rows(reading: Reading) -> None:
    """Every number is one, in its range, at a moment that has been."""
    assert is_utc(reading.read_at)
    for row in reading.rows:
        if isinstance(row, Quote):
            assert row.usd_per_hour.is_finite()
            assert row.usd_per_hour > 0
            assert is_utc(row.at)
            assert row.at <= reading.read_at
        elif isinstance(row, CapacitySignal):
            low, high = RANGES[row.kind]
            assert low <= row.value <= high
            assert is_utc(row.at)
            assert row.size >= 1
        else:
            assert isinstance(row, HazardWitness)
            assert math.isfinite(row.value)
            assert row.value >= 0
            assert is_utc(row.start)
            assert is_utc(row.end)
            assert row.start < row.end
            assert row.exposure_hours is None or 0 < row.exposure_hours < math.inf


def test_a_source_answers_with_prices_of_the_machines_that_were_asked_for(bench: SourceBench) -> None:
    reading = bench.source.read(bench.query, NOW)
    check_rows(reading)
    quotes = [row for row in reading.rows if isinstance(row, Quote)]
    assert quotes
    assert {row.pool.instance_type for row in reading.rows} <= {one.instance_type for one in bench.query.machines}
    assert len({(row.pool, row.market) for row in quotes}) == len(quotes)
    assert reading.skipped == ()
    assert reading.read_at == NOW
    assert reading.source


@pytest.mark.parametrize("fault", SILENT, ids=lambda fault: fault.name.lower())
def test_a_source_whose_cloud_fails_says_why_and_nothing_else(bench: SourceBench, fault: Fault) -> None:
    bench.breaks(fault)
    source = bench.unreachable if fault is Fault.REFUSED else bench.source
    reading = source.read(bench.query, NOW)
    assert reading.rows == ()
    assert reading.skipped
    assert all(reason and "\n" not in reason for reason in reading.skipped)
    assert len(set(reading.skipped)) == len(reading.skipped)


def test_a_source_whose_cloud_hangs_answers_within_its_time(bench: SourceBench) -> None:
    bench.source.read(bench.query, NOW)  # its client is made
    bench.breaks(Fault.HANGS)
    readings: list[Reading] = []
    reader = threading.Thread(
        target=lambda: readings.append(bench.source.read(replace(bench.query, limit_s=0.2), NOW)), daemon=True
    )
    reader.start()
    reader.join(timeout=15)  # the cloud holds the request for longer
    (reading,) = readings
    assert reading.rows == ()
    assert reading.skipped


def test_numbers_that_are_none_become_no_rows_and_never_zero(bench: SourceBench) -> None:
    bench.breaks(Fault.BAD_NUMBERS)
    reading = bench.source.read(bench.query, NOW)
    check_rows(reading)
    assert not [row for row in reading.rows if isinstance(row, Quote)]
    assert reading.skipped


@pytest.mark.parametrize("limit_s", [0.0, -1.0, math.nan])
def test_without_time_nothing_is_answered_and_that_is_said(bench: SourceBench, limit_s: float) -> None:
    reading = bench.source.read(replace(bench.query, limit_s=limit_s), NOW)
    assert reading.rows == ()
    assert reading.skipped


def test_a_source_answers_again_after_its_cloud_has_failed(bench: SourceBench) -> None:
    bench.breaks(Fault.UNAVAILABLE)
    assert bench.source.read(bench.query, NOW).rows == ()
    bench.mends()
    assert bench.source.read(bench.query, NOW).skipped == ()


def test_a_region_that_the_cloud_does_not_have_is_a_reason_and_no_row(bench: SourceBench) -> None:
    (cloud,) = {machine.cloud for machine in bench.query.machines}
    reading = bench.source.read(replace(bench.query, regions={cloud: (bench.nowhere,)}), NOW)
    assert reading.rows == ()
    assert any(bench.nowhere in reason for reason in reading.skipped)


def test_machines_of_a_cloud_that_nobody_has_are_not_asked_for(bench: SourceBench) -> None:
    machine = replace(bench.query.machines[0], cloud="nowhere")
    reading = bench.source.read(replace(bench.query, machines=(machine,)), NOW)
    assert (reading.rows, reading.skipped) == ((), ())


def test_stamps_are_utc_whatever_the_zone_of_now(bench: SourceBench) -> None:
    reading = bench.source.read(bench.query, NOW.astimezone(timezone(timedelta(hours=9))))
    check_rows(reading)
    assert reading.rows
