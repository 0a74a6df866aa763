"""What is said where nothing fits: the nearest first, and what to ask for instead."""

from __future__ import annotations

from factories import offer

from spotwise.cost_models.offer import Pool
from spotwise.scheduler.planning.capacity_refusals import capacity_refusals

HERE = offer(pool=Pool("local", "this-machine", "", "cpu-2"), accelerator=None, accelerator_count=0, vcpus=2.0)


def test_the_offers_for_which_least_would_have_to_change_come_first() -> None:
    asked = {"accelerators": "T4:2", "infra": "aws"}
    rejected = [
        (offer("a", accelerator="A10"), "A10:1, not T4:2"),
        (offer("b"), "T4:1, not T4:2"),
        (offer("c"), "T4:1, not T4:2"),
        (offer(pool=Pool("gcp", "r", "z", "n1"), accelerator="A100"), "cloud gcp, not aws"),
    ]
    assert capacity_refusals(rejected, "no way", asked) == [
        "no offer fits: no way; T4:1, not T4:2 (2 offers); A10:1, not T4:2; cloud gcp, not aws"
    ]


def test_an_accelerator_that_nobody_offers_is_named_with_the_nearest() -> None:
    (said,) = capacity_refusals([(offer(), "T4:1, not T400:1")], "no way", {"any_of": [{"accelerators": "T400"}]})
    assert said.endswith("; no offer has T400; did you mean T4")


def test_a_job_for_a_gpu_on_a_machine_without_says_what_the_machine_has_and_what_to_do() -> None:
    (said,) = capacity_refusals([(HERE, "no accelerators, not T4:1")], "no way", {"accelerators": "T4"})
    assert "this machine offers 2 vCPUs, 16 GiB of memory and no GPU: leave out what it does not have" in said
    for way in ("`spotwise demo`", "local.market", "--engine skypilot"):
        assert way in said


def test_a_shortage_that_may_pass_is_no_refusal() -> None:
    assert capacity_refusals([(HERE, "no accelerators, not T4:1")], None, None) == []
