"""Quantiles of the Gamma distribution, so that planning needs no SciPy."""

from __future__ import annotations

import math
from functools import lru_cache


@lru_cache(maxsize=1024)
def gamma_quantile(shape: float, probability: float) -> float:
    """Quantile of Gamma(shape, 1), by bisection in log space: small shapes put it far below 1e-100."""
    low, high = -700.0, math.log(shape + 40.0 * math.sqrt(shape) + 40.0)
    for _ in range(70):
        middle = 0.5 * (low + high)
        if _gamma_cdf(shape, math.exp(middle)) < probability:
            low = middle
        else:
            high = middle
    return math.exp(high)


def _gamma_cdf(shape: float, x: float) -> float:
    """Regularised lower incomplete gamma function, by its power series (Abramowitz and Stegun 6.5.29)."""
    term = total = 1.0
    n = 0
    while term > 1e-15 * total:
        n += 1
        term *= x / (shape + n)
        total += term
    return min(1.0, total * math.exp(shape * math.log(x) - x - math.lgamma(shape + 1.0)))
