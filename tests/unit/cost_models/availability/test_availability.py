from __future__ import annotations

import json

import numpy as np
import pytest

from spotwise.cost_models.availability import AvailabilityBelief, AvailabilityHistory, PoolModel, believe, shipped_model
from spotwise.cost_models.availability.model import PHASES, TICK_HOURS
from spotwise.cost_models.errors import CostModelError


def model(up: float, down: float, *, up2: float = 0.5, down2: float = 0.5, shift: float = 0.0) -> PoolModel:
    """Two regimes; chances a tick that a spell with (up) and without (down) capacity ends."""
    hazard = np.array([[[down] * PHASES, [up] * PHASES], [[down2] * PHASES, [up2] * PHASES]])
    return PoolModel(hazard, np.array([[1 - shift, shift], [shift, 1 - shift]]), np.array([0.5, 0.5]))


def seen(*looks: bool, held: bool = False) -> AvailabilityHistory:
    chain: AvailabilityHistory | None = None
    for tick, available in enumerate(looks):
        chain = AvailabilityHistory(tick * TICK_HOURS, available, chain, held and tick > 0)
    assert chain is not None
    return chain


@pytest.mark.parametrize("hours", [0.02, TICK_HOURS, 1.0, 24.0])
def test_steps_lead_somewhere(hours: float) -> None:
    steps = shipped_model().steps(hours)
    np.testing.assert_allclose(steps.any.sum(axis=1), 1.0, rtol=1e-9)
    assert (steps.unbroken <= steps.any + 1e-12).all()


def test_two_short_steps_are_about_one_long_one() -> None:
    half, whole = shipped_model().steps(TICK_HOURS / 2), shipped_model().steps(TICK_HOURS)
    start = shipped_model().unseen
    np.testing.assert_allclose(start @ half.any @ half.any, start @ whole.any, atol=4e-3)


def test_of_an_unseen_pool_the_long_run_is_believed() -> None:
    known = model(0.1, 0.3, up2=0.1, down2=0.3)
    assert AvailabilityBelief.of_an_unseen_pool(known).chance_available == pytest.approx(0.75, abs=1e-3)


def test_a_belief_is_the_share_of_sampled_histories() -> None:
    """Against counting: of many sampled pools with the same sightings, how many have capacity an hour later?"""
    known, rng = model(0.05, 0.1, up2=0.4, down2=0.5, shift=0.01), np.random.default_rng(7)
    looks = (True, False, True, True)
    up, regime = np.empty((200_000, 11), dtype=bool), (rng.random(200_000) < 0.5).astype(int)
    hazard = known.hazard[:, :, 0]  # of any phase
    up[:, 0] = rng.random(200_000) < (hazard[regime, 0] / hazard[regime].sum(axis=1))
    for tick in range(1, 11):
        regime = np.where(rng.random(200_000) < 0.01, 1 - regime, regime)
        ends = rng.random(200_000) < hazard[regime, up[:, tick - 1].astype(int)]
        up[:, tick] = up[:, tick - 1] ^ ends
    same = (up[:, :4] == np.array(looks)).all(axis=1)
    later = believe(known, seen(*looks), 9 * TICK_HOURS).chance_available
    assert same.sum() > 1000
    assert later == pytest.approx(up[same, 9].mean(), abs=0.03)


def test_what_was_seen_tells_one_regime_from_another() -> None:
    known = model(0.01, 0.01, up2=0.5, down2=0.5)
    steady = believe(known, seen(*[True] * 20)).hours_unbroken
    shaky = believe(known, seen(*[True, False] * 10, True)).hours_unbroken
    assert steady == pytest.approx(100 * TICK_HOURS, rel=0.05)
    assert shaky == pytest.approx(2 * TICK_HOURS, rel=0.05)


def test_sightings_are_worked_in_once_and_in_any_order_of_reading() -> None:
    chain = seen(*[True, True, False, True] * 500)  # longer than Python's stack
    whole = believe(shipped_model(), chain)
    assert believe(shipped_model(), chain).weights is not None
    assert chain.before is not None
    before = believe(shipped_model(), chain.before)
    step = before.later(TICK_HOURS).given(available=True)
    np.testing.assert_allclose(step.weights, whole.weights, atol=1e-12)


def test_what_a_model_holds_for_impossible_is_no_fault() -> None:
    belief = (
        AvailabilityBelief.of_an_unseen_pool(model(0.1, 0.1))
        .given(available=True)
        .later(1.0, held=True)
        .given(available=False)
    )
    assert belief.weights.sum() == pytest.approx(1.0)


def test_a_model_comes_back_from_its_file() -> None:
    again = PoolModel.from_json(json.loads(json.dumps(shipped_model().to_json())))
    np.testing.assert_allclose(again.hazard, shipped_model().hazard, rtol=1e-3)
    assert again.source == shipped_model().source
    assert shipped_model().regimes == 6


@pytest.mark.parametrize("data", [{}, {"regimes": [{}], "phase_ticks": []}, {"regimes": 3}])
def test_a_file_that_is_no_model_says_so(data: dict[str, object]) -> None:
    with pytest.raises(CostModelError, match="not a model of pools"):
        PoolModel.from_json(data)


def test_chances_that_are_none_are_refused() -> None:
    with pytest.raises(CostModelError, match="chances between 0 and 1"):
        PoolModel(np.full((1, 2, PHASES), 1.5), np.ones((1, 1)), np.ones(1))
    with pytest.raises(CostModelError, match="of shape"):
        PoolModel(np.full((1, 2, 3), 0.5), np.ones((1, 1)), np.ones(1))
