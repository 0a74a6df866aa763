"""What an unfinished training is worth: how good a result in hand it would still be worth paying more for.

A trial is a chain of levels, each at a price, each of which makes its final result less uncertain; it can be left at
any of them. Its index is the result in hand at which going on is worth nothing more: the Gittins index of optimal
stopping, here for a normal belief (Weitzman, "Optimal search for the best alternative", Econometrica 47, 1979, for one
level; Xie et al., "Cost-aware Bayesian optimization via the Pandora's box Gittins index", NeurIPS 2024). The trial
with the lowest index goes on, or a new one starts: which one, and when to stop, is one question.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from spotwise.cost_models.arrays import Array

from ..model.gaussian_process import Posterior, expected_improvement

# Grids of the numerical solution; not tuned.
_HALF_WIDTH, _CELLS = 4.0, 160  # of the grid of means, in standard deviations
_SDS = np.geomspace(0.02, 4.0, 24)  # standard deviations of a final result, in scores
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


class GittinsIndex:
    """Indices of trials, in the unit of their results; low is good."""

    def __init__(self, correlations: Array, costs: Array, start: float, price: float) -> None:
        """Args:
        correlations: of each level with the last, shape (levels,).
        costs: of coming from each level to the next, in whole trainings, shape (levels,).
        start: what starting or resuming a process costs, in whole trainings.
        price: what one whole training costs, in the unit of results.
        """
        left = np.append(np.maximum(1.0 - correlations[:-1] ** 2, 1e-3), 0.0)
        self._left = tuple(np.append(1.0, np.minimum.accumulate(left)).tolist())
        self._costs, self._start, self._price = tuple(costs.tolist()), start, price

    def of(self, mean: Array, sd: Array, relative_costs: Array, reached: int, *, running: bool = False) -> Array:
        """Indices of trials that have reached the same level, shape (trials,).

        Args:
            mean: of their final results, shape (trials,).
            sd: of their final results, shape (trials,).
            relative_costs: of each one's whole training, in average ones; taken to the nearest power of two.
            reached: the level; -1 for none yet.
            running: their process runs: it need not be started.
        """
        if reached == len(self._costs) - 1:
            return np.asarray(mean)
        found, powers = np.array(mean, dtype=float), np.rint(np.log2(relative_costs))
        for power in np.unique(powers):
            costs = [price * self._price * 2.0**power for price in self._costs[reached + 1 :]]
            costs[0] += 0.0 if running else self._start * self._price  # the same for all
            offsets, these = _offsets(self._left[reached + 1 :], tuple(costs)), powers == power
            found[these] -= sd[these] * np.interp(np.log(sd[these]), np.log(_SDS), offsets)
        return found


@lru_cache(maxsize=1024)
def _offsets(left: tuple[float, ...], costs: tuple[float, ...]) -> Array:
    """How many standard deviations above a result in hand the mean may lie for going on to be worth its cost, for
    each of ``_SDS``.

    ``left``: variance that is left now and after each further level, to a common scale.
    """
    z = np.linspace(-_HALF_WIDTH, _HALF_WIDTH, _CELLS + 1)  # mean less the result in hand, in standard deviations
    sd = np.sqrt(np.array(left) / left[0])
    price = np.array(costs)[:, None] / _SDS[None, :]
    value = np.tile(np.maximum(0.0, -z), (len(_SDS), 1))
    going = value
    for level in range(len(costs) - 1, -1, -1):
        step = np.sqrt(max(sd[level] ** 2 - sd[level + 1] ** 2, 0.0))
        if level == len(costs) - 1:
            gain = expected_improvement(Posterior(z, np.full(len(z), step)), 0.0)[None, :]
        else:
            gain = _at(value, z, z[:, None] + step * _NODES[None, :]) @ _WEIGHTS
        going = gain - price[level][:, None]
        value = np.maximum(0.0, going)
    return np.array([_root(z, row) for row in going])


def _at(value: Array, z: Array, points: Array) -> Array:
    """Values between the cells; below the grid they rise by one a step, above it they are nothing."""
    place = np.clip((points + _HALF_WIDTH) / (z[1] - z[0]), 0.0, _CELLS - 1e-9)
    cell = place.astype(int)
    share = place - cell
    inside = value[:, cell] * (1.0 - share) + value[:, cell + 1] * share
    return np.asarray(np.where(points > _HALF_WIDTH, 0.0, inside + np.maximum(0.0, -_HALF_WIDTH - points)))


def _root(z: Array, going: Array) -> float:
    """Where a falling function crosses 0."""
    above = np.flatnonzero(going > 0.0)
    if not len(above):
        return float(z[0])
    last = int(above[-1])
    if last == len(z) - 1:
        return float(z[-1])
    return float(z[last] + (z[last + 1] - z[last]) * going[last] / (going[last] - going[last + 1]))
