"""Relative speeds: by own runs, by the model over measured jobs, with an interval; or said to be unknown."""

from __future__ import annotations

import pytest

from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.throughput import OwnSpeed, Speed, multi_gpu_speed, relative_speed

PUBLISHED_ONLY = ("L4", "A10G", "L40", "L40S", "V100-32GB", "B300")


def speed(accelerator: str, reference: str, family: str | None = None, own: tuple[OwnSpeed, ...] = ()) -> Speed:
    found = relative_speed(accelerator, reference, family=family, own=own)
    assert found is not None
    return found


def test_turning_a_comparison_round_inverts_it() -> None:
    there, back = speed("A100", "V100", "vision"), speed("V100", "A100", "vision")
    assert there.factor * back.factor == pytest.approx(1.0, rel=0.02)
    assert there.low * back.high == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(
    ("accelerator", "family", "measured"),
    [("A100", "vision", 1.70), ("A100", "language", 2.15), ("A100", "speech", 3.53), ("H100-SXM", "vision", 3.50)],
)
def test_a_measured_ratio_lies_in_its_familys_interval(accelerator: str, family: str, measured: float) -> None:
    found = speed(accelerator, "V100", family)
    assert found.low < measured < found.high


def test_a_family_has_a_narrower_interval_than_a_job_that_does_not_say() -> None:
    assert speed("B200", "V100", "vision").sigma < speed("B200", "V100").sigma


def test_speech_does_not_set_the_ratio_of_a_job_that_does_not_say() -> None:
    vision, language, speech = (speed("B200", "V100", each).factor for each in ("vision", "language", "speech"))
    unknown = speed("B200", "V100").factor
    assert vision < unknown < language < speech


@pytest.mark.parametrize("accelerator", PUBLISHED_ONLY)
def test_a_gpu_that_nobody_measured_has_a_speed_from_its_published_figures(accelerator: str) -> None:
    found = speed(accelerator, "T4", "vision")
    assert found.low < found.factor < found.high
    assert f"{accelerator} by published figures only" in found.source


def test_the_same_chip_with_more_memory_is_about_as_fast() -> None:
    found = speed("V100-32GB", "V100", "vision")
    assert found.factor == pytest.approx(1.0, abs=0.1)


def test_a_jobs_own_speed_elsewhere_moves_what_is_predicted_and_narrows_it() -> None:
    alone, fast, slow = (
        speed("H100-SXM", "V100", "language", own)
        for own in ((), (OwnSpeed("A100", 3.2, 0.03),), (OwnSpeed("A100", 1.5, 0.03),))
    )
    assert slow.factor < alone.factor < fast.factor
    assert fast.sigma < alone.sigma
    assert "this job's own speed on A100" in fast.source


def test_a_jobs_own_speed_tells_its_family() -> None:
    like_speech = (OwnSpeed("A100", 4.0, 0.03),)
    alone, told = speed("B200", "V100"), speed("B200", "V100", None, like_speech)
    assert told.factor > alone.factor * 1.3


def test_where_a_job_ran_its_own_speed_is_the_answer() -> None:
    found = speed("A100", "T4", None, (OwnSpeed("A100", 4.0, 0.05),))
    assert (found.factor, found.sigma) == (pytest.approx(4.0, rel=0.05), pytest.approx(0.05, rel=0.2))


@pytest.mark.parametrize(("accelerator", "reference"), [("TPU-V5", "V100"), ("", "T4"), ("T4", "MI300X")])
def test_what_has_no_published_figures_is_not_guessed(accelerator: str, reference: str) -> None:
    assert relative_speed(accelerator, reference) is None


def test_the_same_accelerator_is_as_fast_as_itself_known_or_not() -> None:
    found = speed("TPU-V5", "tpu-v5:1")
    assert (found.factor, found.low, found.high) == (1.0, 1.0, 1.0)


def test_several_gpus_scale_below_linear_and_in_order() -> None:
    factors = [multi_gpu_speed(gpus).factor for gpus in (1, 2, 3, 4, 8, 16)]
    assert factors == sorted(factors)
    assert all(factor <= gpus for factor, gpus in zip(factors, (1, 2, 3, 4, 8, 16), strict=True))


def test_a_number_that_was_not_measured_is_called_an_assumption() -> None:
    assert multi_gpu_speed(16).source.startswith("assumed")
    assert not multi_gpu_speed(8).source.startswith("assumed")


def test_numbers_of_accelerators_enter_both_sides() -> None:
    found, eight, four = speed("V100:8", "V100:4"), multi_gpu_speed(8), multi_gpu_speed(4)
    assert found.factor == pytest.approx(eight.factor / four.factor)
    assert found.sigma > 0


@pytest.mark.parametrize("accelerator", ["T4:0", "T4:many", "T4:-1"])
def test_an_impossible_number_is_refused(accelerator: str) -> None:
    with pytest.raises(CostModelError, match="whole number above 0"):
        relative_speed(accelerator, "T4")


def test_a_family_that_nobody_measured_is_refused() -> None:
    with pytest.raises(CostModelError, match="vision, language, speech"):
        relative_speed("T4", "V100", family="weather")
