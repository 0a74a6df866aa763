"""Relative speeds: measured, or said to be unknown."""

from __future__ import annotations

import math

import pytest

from spotwise.cost_models.errors import CostModelError
from spotwise.cost_models.throughput import multi_gpu_speed, relative_speed


def test_speed_is_the_geometric_mean_over_shared_workloads() -> None:
    found = relative_speed("T4", "V100")
    assert found is not None
    # bert, cifar10, deepspeech2, imagenet, yolov3 of the table
    assert found.factor == pytest.approx(math.prod((0.3083, 0.3084, 0.4418, 0.3217, 0.3904)) ** (1 / 5))
    assert (found.low, found.high) == (0.3083, 0.4418)
    assert "deepspeech2" in found.source


def test_turning_a_comparison_round_inverts_it() -> None:
    there, back = relative_speed("A100", "V100"), relative_speed("V100", "A100")
    assert there is not None
    assert back is not None
    assert there.factor * back.factor == pytest.approx(1.0)
    assert there.low * back.high == pytest.approx(1.0)


def test_what_shares_no_workload_is_compared_by_way_of_the_v100() -> None:
    found, t4, a100 = relative_speed("A100", "T4"), relative_speed("T4", "V100"), relative_speed("A100", "V100")
    assert found and t4 and a100
    assert found.factor == pytest.approx(a100.factor / t4.factor)
    assert (found.low, found.high) == pytest.approx((a100.low / t4.high, a100.high / t4.low))
    assert "by way of the V100" in found.source


def test_a_kind_of_workload_narrows_the_spread() -> None:
    vision, everything = relative_speed("H100", "V100", workload="vision"), relative_speed("H100", "V100")
    assert vision and everything
    assert vision.high < everything.high
    assert vision.source.endswith("resnet50, ssd")


def test_a_workload_nobody_measured_takes_them_all() -> None:
    assert relative_speed("H100", "V100", workload="protein folding") == relative_speed("H100", "V100")


@pytest.mark.parametrize(("accelerator", "reference"), [("A10G", "T4"), ("T4", "L4"), ("TPU-V5", "V100"), ("", "T4")])
def test_what_was_not_measured_is_not_guessed(accelerator: str, reference: str) -> None:
    assert relative_speed(accelerator, reference) is None


def test_the_same_accelerator_is_as_fast_as_itself_measured_or_not() -> None:
    found = relative_speed("A10G", "a10g:1")
    assert found is not None
    assert (found.factor, found.low, found.high) == (1.0, 1.0, 1.0)


def test_several_gpus_scale_below_linear_and_in_order() -> None:
    factors = [multi_gpu_speed(gpus).factor for gpus in (1, 2, 3, 4, 8, 16)]
    assert factors == sorted(factors)
    assert all(factor <= gpus for factor, gpus in zip(factors, (1, 2, 3, 4, 8, 16), strict=True))


def test_a_number_that_was_not_measured_is_called_an_assumption() -> None:
    assert multi_gpu_speed(16).source.startswith("assumed")
    assert not multi_gpu_speed(8).source.startswith("assumed")


def test_numbers_of_accelerators_enter_both_sides() -> None:
    found, eight, four = relative_speed("V100:8", "V100:4"), multi_gpu_speed(8), multi_gpu_speed(4)
    assert found is not None
    assert found.factor == pytest.approx(eight.factor / four.factor)


@pytest.mark.parametrize("accelerator", ["T4:0", "T4:many", "T4:-1"])
def test_an_impossible_number_is_refused(accelerator: str) -> None:
    with pytest.raises(CostModelError, match="whole number above 0"):
        relative_speed(accelerator, "T4")
