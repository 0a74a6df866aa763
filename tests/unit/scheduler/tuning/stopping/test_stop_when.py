"""Whether another trial is worth its money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import optuna
import pytest
from bowls import Bowl, past_studies

from spotwise.scheduler.tuning import TransferSampler
from spotwise.scheduler.tuning.search.proposer import Proposer
from spotwise.scheduler.tuning.stopping.stop_when import MIN_TRIALS, enough, mean_trial_usd
from spotwise.scheduler.tuning.study.study_state import Study, TrialHold, TrialPhase, TrialView
from spotwise.scheduler.tuning.study.sweep_task import SweepTask
from spotwise.scheduler.tuning.study.trial_worth import MachinePrice, NextTrialWorth, StopRule

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PRICE = MachinePrice(usd_per_hour=4.0, hour_s=3600.0)


def study(trials: int, minutes: float = 30.0, share: Fraction = Fraction(1, 2), **changes: object) -> Study:
    held = TrialHold(1, NOW, NOW + timedelta(minutes=minutes), share)
    fields: dict[str, object] = {"phase": TrialPhase.COMPLETED, "holds": (held,)} | changes
    return Study({n: TrialView(n, {}, "", "", **fields) for n in range(trials)})


def test_a_trial_costs_its_share_of_the_machine() -> None:
    assert mean_trial_usd(study(4), PRICE) == pytest.approx(1.0)
    assert mean_trial_usd(study(4), MachinePrice(4.0, hour_s=60.0)) == pytest.approx(60.0), (
        "an emulated hour is shorter"
    )
    assert mean_trial_usd(study(4, phase=TrialPhase.RUNNING), PRICE) is None
    assert mean_trial_usd(study(0), PRICE) is None


@pytest.mark.parametrize(
    ("trials", "gain", "ends"),
    [
        (MIN_TRIALS, 0.009, True),
        (MIN_TRIALS, 0.011, False),
        (MIN_TRIALS - 1, 0.0, False),  # too few to say so
        (MIN_TRIALS, None, False),
    ],
)
def test_it_ends_where_money_buys_less_than_it_is_worth(trials: int, gain: float | None, ends: bool) -> None:
    """A trial costs one USD, so that two USD buy twice its gain."""
    rule = StopRule(gain_below=0.02, per_usd=2.0)
    assert bool(enough(study(trials), gain and NextTrialWorth(gain, 1.0), rule, PRICE)) is ends
    assert bool(enough(study(trials), gain and NextTrialWorth(gain / 2, 0.5), rule, PRICE)) is ends, (
        "for half the money"
    )


def test_holds_that_a_killed_host_left_open_are_not_guessed() -> None:
    open_hold = TrialHold(1, NOW, None, Fraction(1))
    assert mean_trial_usd(study(4, holds=(open_hold,)), PRICE) is None


def test_a_price_that_is_not_stated_whole_is_none() -> None:
    assert MachinePrice.of({}) is MachinePrice.of({"SPOTWISE_USD_PER_HOUR": "3"}) is None
    assert MachinePrice.of({"SPOTWISE_USD_PER_HOUR": "?", "SPOTWISE_HOUR_S": "1"}) is None
    assert MachinePrice.of({"SPOTWISE_USD_PER_HOUR": "3.06", "SPOTWISE_HOUR_S": "3600"}) == MachinePrice(3.06, 3600.0)


@pytest.mark.parametrize("history", [0, 4])
def test_what_is_still_to_be_gained_falls_and_is_in_the_unit_of_the_metric(history: int) -> None:
    gains: dict[float, list[float]] = {}
    for scale in (1.0, -1000.0):
        sampler = TransferSampler(past_studies(history), seed=0)
        study = optuna.create_study(direction="minimize" if scale > 0 else "maximize", sampler=sampler)
        for trials in (3, 9, 28):
            study.optimize(lambda trial, by=scale: by * Bowl(0).objective(trial), trials)
            expected = sampler.expected(study)
            if trials == 3:
                assert expected is None, "too few to say"
            else:
                assert expected is not None
                assert expected.cost == 1.0
                gains.setdefault(scale, []).append(expected.gain)
    early, late = gains[1.0]
    assert 0.0 <= late < 0.5 * early < 0.1
    assert gains[-1000.0] == pytest.approx([1000 * early, 1000 * late])


def test_a_sweep_learns_from_its_own_trials_what_the_next_one_costs(make_task: Callable[..., SweepTask]) -> None:
    """Times that trials held; one that was stopped counts at its pace."""

    def ended(number: int, x: float) -> TrialView:
        stopped = number % 3 == 0
        took = timedelta(minutes=10 * 20.0**x / (4 if stopped else 1))
        trial = TrialView(number, {"x": x}, "sampler", "", phase=TrialPhase.COMPLETED, epoch=8)
        trial = replace(trial, reports={2: 1.0 - (x - 0.2) ** 2}, holds=(TrialHold(1, NOW, NOW + took, Fraction(1)),))
        return replace(trial, phase=TrialPhase.PRUNED, epoch=2) if stopped else trial

    space = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
    trials = [ended(number, x) for number, x in enumerate(np.linspace(0.0, 1.0, 15).tolist())]
    proposer = Proposer(make_task(space=space, epochs=8, trials=40))
    study = Study({trial.number: trial for trial in trials})
    expected, x = proposer.expected(study), proposer.propose(study).params["x"]
    assert expected is not None
    assert expected.cost == pytest.approx(20.0**x / np.mean([20.0 ** t.params["x"] for t in trials]), rel=0.2)
