"""What an episode is predicted to cost before its first tick, by its terms, the prices then and the model of pools."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np

from spotwise.cost_models.availability import PoolModel, shipped_model

from ..core.money import in_micro_usd
from ..policies.run_terms import RunTerms
from ..policies.shared_tables import share_step
from ..policies.simulated_runs import SIMULATED, SimulatedRuns, simulate_runs
from .replay import Episode, Rules


@dataclass(frozen=True, slots=True)
class Predicted:
    """Of one episode under one policy."""

    expected_usd: Decimal
    p10_usd: Decimal
    p90_usd: Decimal
    expected_hours: float


def predict(policy: str, episode: Episode, rules: Rules, model: PoolModel | None = None) -> Predicted | None:
    """What is known before the first tick; nothing of the recording but its prices at that moment is looked at.

    Args:
        model: of pools; None takes the shipped one.

    Returns:
        None where it cannot be said: several recordings side by side, or a policy that is not simulated.
    """
    if policy not in SIMULATED or len(episode.traces) > 1:
        return None
    trace = episode.traces[0]
    on_demand, spot = trace.on_demand_usd_per_hour, trace.spot_usd_per_hour[episode.start_tick]
    share = float(spot / on_demand)
    runs = _simulated(policy, _terms(rules, share_step(share)), model or shipped_model())
    cost = runs.cost(share)
    hours = (float(cost.mean()), *map(float, np.quantile(cost, [0.1, 0.9])))
    expected, p10, p90 = (in_micro_usd(Decimal(each) * on_demand) for each in hours)
    return Predicted(expected, p10, p90, expected_hours=float(runs.hours.mean()))


def _terms(rules: Rules, spot_share: float) -> RunTerms:
    return RunTerms(
        work_hours=rules.work_hours,
        deadline_hours=rules.deadline_hours,
        restart_hours=rules.restart_hours,
        tick_hours=rules.tick_hours,
        spot_share=round(spot_share, 2),
        checkpoint_interval_hours=rules.checkpoint_interval_hours,
    )


@lru_cache(maxsize=256)
def _simulated(policy: str, terms: RunTerms, model: PoolModel) -> SimulatedRuns:
    """Once for all episodes of the same terms."""
    return simulate_runs(policy, terms, model)
