"""From simulated runs to a prediction: the expected cost, and the interval from the 10th to the 90th percentile."""

from __future__ import annotations

import numpy as np

from spotwise.cost_models.estimate import Quantiles

from .simulated_runs import SimulatedRuns


def predicted_cost(runs: SimulatedRuns, spot_share: float) -> Quantiles:
    """In hours of on-demand capacity, at this price of spot capacity as a share of on-demand's."""
    cost = spot_share * runs.spot_hours + runs.on_demand_hours
    p10, p90 = np.quantile(cost, [0.1, 0.9])
    return Quantiles(float(cost.mean()), float(p10), float(p90))
