from __future__ import annotations

import pytest

from spotwise.scheduler.tuning.stopping.asha import judge
from spotwise.scheduler.tuning.study.sweep_task import StoppingRule

RULE = StoppingRule(grace_epochs=2, reduction_factor=3)


def curve(value: float, epochs: int, every: int = 1) -> list[tuple[int, float]]:
    return [(epoch, value) for epoch in range(every, epochs + 1, every)]


def test_rungs_lie_at_grace_times_powers_of_eta() -> None:
    assert RULE.rungs(20) == [2, 6, 18]
    assert RULE.rungs(18) == [2, 6, 18]
    assert RULE.rungs(1) == []


def test_nobody_is_judged_at_the_last_epoch() -> None:
    curves = {n: [(2, 0.9), (6, 0.9 - n / 10)] for n in range(6)}
    assert judge(curves, 5, RULE, goal="maximize", max_epochs=7).stop
    assert not judge(curves, 5, RULE, goal="maximize", max_epochs=6).stop


@pytest.mark.parametrize(
    ("others", "own", "epoch", "stop"),
    [
        # (others' values at rung 2), own value, own epoch -> stopped?   kept: max(1, floor(recorded / 3))
        ([], 0.1, 2, False),  # alone
        ([0.9], 0.1, 2, False),  # two of three needed: nobody is stopped
        ([0.9, 0.8], 0.1, 2, True),  # third of three: one is kept
        ([0.9, 0.8], 0.95, 2, False),  # first of three
        ([0.9, 0.8, 0.7, 0.6, 0.5], 0.85, 2, False),  # second of six: two are kept
        ([0.9, 0.8, 0.7, 0.6, 0.5], 0.75, 2, True),  # third of six
        ([0.9, 0.8], 0.1, 1, False),  # within grace
        ([0.9, 0.8], 0.1, 3, False),  # judged at epoch 2 already
        ([0.9, 0.9], 0.9, 2, False),  # ties are kept
    ],
)
def test_decisions(others: list[float], own: float, epoch: int, stop: bool) -> None:
    curves = {n: curve(value, 5) for n, value in enumerate(others, start=1)} | {0: curve(own, epoch)}
    assert judge(curves, 0, RULE, goal="maximize").stop is stop
    mirrored = {n: [(e, -v) for e, v in points] for n, points in curves.items()}
    assert judge(mirrored, 0, RULE, goal="minimize").stop is stop


def test_program_that_reports_rarely_is_judged_at_the_highest_rung_it_passed() -> None:
    curves = {n: curve(0.9, 10) for n in (1, 2)} | {0: curve(0.1, 7, every=7)}
    verdict = judge(curves, 0, RULE, goal="maximize")
    assert verdict.stop
    assert verdict.reason == "place 3 of 3 at epoch 6: not among the best 1/3"
