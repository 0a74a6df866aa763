"""Runs simulated side by side pay what the policies themselves pay on the same pools."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from spotwise.cost_models.availability import shipped_model
from spotwise.cost_models.availability.drawn_pools import DrawnPools
from spotwise.scheduler.backtest.replay import Episode, Rules
from spotwise.scheduler.backtest.study import run_policy
from spotwise.scheduler.backtest.trace import Trace
from spotwise.scheduler.policies.run_terms import RunTerms
from spotwise.scheduler.policies.simulated_runs import SIMULATED, simulate_runs

TICK = 1 / 6
POOLS, TICKS = 6, 60


def drawn(ticks: int = TICKS) -> np.ndarray:
    """(ticks, pools): whether there is capacity, in the pools that a simulation with seed 0 draws."""
    pools = DrawnPools(shipped_model(), POOLS, np.random.default_rng(0))
    seen = [pools.there]
    for _ in range(ticks - 1):
        pools.step()
        seen.append(pools.there)
    return np.array(seen)


@pytest.mark.parametrize(("policy", "interval"), [*((name, 0.0) for name in SIMULATED), ("greedy", 0.5)])
def test_each_run_costs_what_the_policy_pays_on_that_pool(policy, interval):
    terms = RunTerms(6.0, 8.0, 0.2, TICK, 0.3, checkpoint_interval_hours=interval)
    rules = Rules(6.0, 8.0, 0.2, TICK, checkpoint_interval_hours=interval)
    found = simulate_runs(policy, terms, shipped_model(), samples=POOLS, seed=0)
    other = 0
    for pool, there in enumerate(drawn().T):
        trace = Trace("z", "made", "z", "gpu", TICK, there, (Decimal("0.3"),) * len(there), Decimal(1))
        played = run_policy(policy, Episode((trace,), 0), rules)
        cost = found.cost(0.3)[pool], found.hours[pool], found.spot_hours[pool]
        other += cost != pytest.approx((float(played.cost_usd), played.finish_hours, played.spot_hours))
    # Two choices of the deadline policy may cost the same: rounding then chooses.
    assert other <= (1 if policy == "deadline" else 0)
