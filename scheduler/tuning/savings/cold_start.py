"""How many trials a sweep needs without past studies: what a saving is measured against.

A configuration is judged by its quantile: the share of all configurations that are at least as good. Measured is how
soon spotwise's own sampler gets to a quantile without history (``benchmarks/savings.py``, on recorded families): its
first trials are random, and of random ones it takes 1 / quantile on average. From then on, trials grow with the power
0.4 of that: ten times as good takes two and a half times as many. That is fewer than Optuna's TPE sampler mostly needs,
so that what is saved is not made large by a poor stand-in.
"""

from __future__ import annotations

import math

from spotwise.cost_models.estimate import Quantiles

from ..search.portfolio import INITIAL_RANDOM_TRIALS

POWER = 0.4  # of the trials that random ones would take; chosen on three recorded families (docs/studies.md)


def cold_trials(quantile: float) -> float:
    """Trials until a sweep without past studies is expected to be among the best share ``quantile`` (0 to 1) of all."""
    at_random, first = 1.0 / quantile, INITIAL_RANDOM_TRIALS
    return at_random if at_random <= first else first * (at_random / first) ** POWER


def finest_quantile(trials: int) -> float:
    """The smallest quantile that so many trials can show: the best of them stands in the middle of its share."""
    return 0.5 / trials


def spread(quantile: float, log_sd: float, floor: float) -> Quantiles:
    """Cold trials for a quantile that is known within a factor, never finer than ``floor``.

    Args:
        log_sd: how far off the logarithm of the quantile may be in either direction, as the 10th and 90th percentile.
    """
    low, high = (min(max(quantile * math.exp(by), floor), 1.0) for by in (log_sd, -log_sd))
    return Quantiles(cold_trials(min(max(quantile, floor), 1.0)), cold_trials(low), cold_trials(high))
