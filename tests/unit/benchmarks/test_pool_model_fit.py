"""Fitting the model of pools to recordings: what ships with spotwise comes from it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pool_model_fit import fit, log_likelihood

from spotwise.cost_models.errors import CostModelError


def test_a_fit_finds_the_regimes_that_made_the_recordings() -> None:
    rng, truth = np.random.default_rng(3), ((0.02, 0.05), (0.3, 0.4))
    recordings = []
    for pool in range(12):
        up, recording = True, []
        ends_up, ends_down = truth[pool % 2]
        for _ in range(1500):
            up = up ^ (rng.random() < (ends_up if up else ends_down))
            recording.append(up)
        recordings.append(np.array(recording))
    fitted = fit(recordings, 2, rounds=25)
    found = sorted(float(np.average(h[1], weights=[8, 6, 5, 4, 4, 3, 2, 1, 1, 1, 1])) for h in fitted.hazard)
    assert found[0] < 0.08  # a little of what all pools have in common is in each
    assert found[1] > 0.2
    one = fit(recordings, 1, rounds=5)
    assert log_likelihood(fitted, recordings) > log_likelihood(one, recordings) + 100


def test_every_round_of_a_fit_foretells_the_recordings_better() -> None:
    rng = np.random.default_rng(1)
    recordings = [rng.random(400).cumsum() % 7 < 4 for _ in range(3)]
    likely = [log_likelihood(fit(recordings, 2, rounds=rounds), recordings) for rounds in (0, 1, 3, 8)]
    assert all(later > earlier for earlier, later in pairwise(likely))


def test_without_recordings_there_is_nothing_to_fit() -> None:
    with pytest.raises(CostModelError, match="at least one recording"):
        fit([], 2)
