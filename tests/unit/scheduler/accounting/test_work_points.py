"""How far a training is, in whatever unit its work is stated."""

from __future__ import annotations

import pytest
from factories import record

from spotwise.scheduler.accounting.work_points import WorkPoints


def shares(epochs, steps, *records) -> list[float | None]:
    found = WorkPoints(epochs, steps)
    found.add(records)
    return [point.share for point in found.points]


def test_epochs_count_and_parts_of_one_once_its_length_is_known() -> None:
    told = [
        record("started", 0),
        record("checkpoint", 1, epoch=0, step=50),  # how long an epoch is nobody knows yet
        record("progress", 2, epoch=1, step=100),
        record("checkpoint", 3, epoch=1, step=150),
    ]
    assert shares(4, None, *told) == pytest.approx([0.0, 0.0, 0.25, 0.375])


def test_steps_count_within_a_single_epoch() -> None:
    told = [record("started", 0), record("checkpoint", 1, step=100), record("progress", 2, epoch=1, step=400)]
    assert shares(1, 400, *told) == pytest.approx([0.0, 0.25, 1.0])


def test_without_an_amount_of_work_nobody_knows_the_share() -> None:
    assert shares(None, None, record("started", 0), record("progress", 1, epoch=1, step=9)) == [None, None]


def test_more_than_all_is_all() -> None:
    assert shares(2, None, record("progress", 1, epoch=3, step=30)) == [1.0]
