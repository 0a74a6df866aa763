"""Which trial continues, or which new one starts: freeze-thaw, as a pure function of what was seen. Experimental.

Swersky et al., Freeze-thaw Bayesian optimization, 2014 (arXiv:1406.3896); the choice is by ``gittins_index``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.blas_threads import one_thread

from ..model.encoding import UnitCube
from ..model.learning_curves import CurveModel, FinalResults
from ..model.past_studies import PastStudies
from ..model.rank_scores import normal_scores
from ..model.single_study_gp import fitted_kernel
from ..model.trial_cost import TrialCostModel
from ..search.acquisition import MIN_LOG_ODDS_FOR_PAST, candidates, pool_of
from ..search.portfolio import INITIAL_RANDOM_TRIALS
from .gittins_index import GittinsIndex

DOUBT_FROM_TRIAL = 6  # trials started, from which on the past may be left out every other time (docs/tuning.md)
START_COST = 0.03  # of starting or resuming a process, in whole trainings. Not tuned
# What a whole training costs in scores: at first, and when nothing is worth more. At first 0.1, 0.3 and 1.0 do alike
# (docs/tuning.md).
MAX_PRICE, MIN_PRICE = 0.3, 0.3 / 2**6


@dataclass(frozen=True, slots=True)
class StartedTrials:
    """Trials that were started. Low results are good; NaN where one has not come so far, infinite where it failed."""

    rows: Array  # (trials, parameters)
    results: Array  # (trials, levels)
    may_continue: NDArray[np.bool_]  # (trials,): now
    costs: Array  # (trials,): of a whole training of each, in any unit; NaN where it is not known
    running: int | None = None  # of these the one that runs, and goes on without a start

    @property
    def reached(self) -> NDArray[np.intp]:
        """(trials,): the highest level of each; -1 while it has none."""
        return np.asarray((~np.isnan(self.results)).sum(axis=1) - 1)


@dataclass(frozen=True, slots=True)
class Continue:
    """A trial continues to its next level."""

    place: int  # index of the trial in ``StartedTrials``


@dataclass(frozen=True, slots=True)
class Start:
    """A new trial starts."""

    row: Array  # (parameters,): its configuration


class FreezeThaw:
    """Chooses. It has no memory: a choice follows from the trials and the seed."""

    def __init__(
        self,
        cube: UnitCube,
        past: PastStudies,
        levels: tuple[float, ...],
        first: Array,
        *,
        seed: int,
        costs: TrialCostModel | None = None,
    ) -> None:
        """Args:
        levels: shares of a whole training, rising to 1.
        first: rows of past studies to begin with.
        costs: None where all trainings are taken to cost the same.
        """
        self._cube, self._past, self._levels, self._seed = cube, past, levels, seed
        self._first, self._costs = first, costs
        self._pool = pool_of(cube, past, seed)
        self._steps = np.diff(np.append(0.0, levels))

    @one_thread(with_scipy=True)
    def choose(self, started: StartedTrials, *, may_begin: bool) -> Continue | Start | None:
        """None: nothing is worth what it costs, or nothing may start."""
        count = len(started.rows)
        rng = np.random.default_rng([self._seed, 1 + count])
        if may_begin and count < len(self._first):
            return Start(self._cube.snapped(self._cube.filled(self._first[count : count + 1], rng))[0])
        if count < INITIAL_RANDOM_TRIALS and not self._past.count:
            return Start(np.asarray(self._cube.random(1, rng)[0])) if may_begin else self._first_to_continue(started)
        sample, near = candidates(self._cube, self._pool, self._best_rows(started), rng)
        rows = np.vstack([self._pool[sample], near])
        tried, untried = self._beliefs(started, self._cube.columns(rows))
        reached, relative_costs, new_relative_costs = (
            started.reached,
            self._whole_costs(started, started.rows),
            self._whole_costs(started, rows),
        )
        fresh = ~self._cube.is_among(rows, started.rows) if may_begin else np.zeros(len(rows), dtype=bool)
        price = MAX_PRICE
        while price >= MIN_PRICE:
            index = GittinsIndex(self._past.level_correlations.scores[:, -1], self._steps, START_COST, price)
            own = np.full(count, np.inf)
            for place in np.flatnonzero(started.may_continue | (reached == len(self._levels) - 1)):
                one = slice(place, place + 1)
                goes = place == started.running
                own[place] = index.of(
                    tried.mean[one], tried.sd[one], relative_costs[one], int(reached[place]), running=goes
                )[0]
            new = np.where(fresh, index.of(untried.mean, untried.sd, new_relative_costs, -1), np.inf)
            best, first = own.min(initial=np.inf), new.min(initial=np.inf)
            if best == np.inf and first == np.inf:
                return None
            if first < best:
                return Start(np.asarray(rows[int(new.argmin())]))
            goes_on = int(own.argmin())
            if started.may_continue[goes_on] and reached[goes_on] < len(self._levels) - 1:
                return Continue(goes_on)
            price /= 2  # the best is in hand: what else would be worth it if trainings were cheaper?
        return None

    def _first_to_continue(self, started: StartedTrials) -> Continue | None:
        """So few trials, and no more are to come: one after the other to its end."""
        may_continue = np.flatnonzero(started.may_continue)
        return Continue(int(may_continue[0])) if len(may_continue) else None

    def _whole_costs(self, started: StartedTrials, rows: Array) -> Array:
        """What a whole training of each row costs, in those of the trials so far."""
        if self._costs is None:
            return np.ones(len(rows))
        known = started.costs[np.isfinite(started.costs)]
        columns = self._cube.columns(started.rows)
        found = self._costs.predict(self._cube.columns(rows), columns, started.costs)
        return found / known.mean() if len(known) else found

    def _beliefs(self, started: StartedTrials, new: Array) -> tuple[FinalResults, FinalResults]:
        columns = self._cube.columns(started.rows)
        if self._past.count:
            inverse_lengths = self._past.kernel.inverse_lengths
        else:
            early = started.results[:, 0]  # those without a result come last, and matter only while there are no others
            order = np.argsort(early, kind="stable")[: max(2, np.count_nonzero(~np.isnan(early)))]
            inverse_lengths = fitted_kernel(columns[order], order.astype(float), normal_scores).inverse_lengths
        model = CurveModel(self._past, inverse_lengths, columns, started.results)
        return model.final(new, with_past=self._trusts(model, started))

    def _trusts(self, model: CurveModel, started: StartedTrials) -> bool:
        """Whether the past decides this time: as in ``acquisition``."""
        if not self._past.count or not len(started.rows):
            return bool(self._past.count)
        odds, number = model.log_odds, len(started.rows)
        in_doubt = odds <= MIN_LOG_ODDS_FOR_PAST and number >= DOUBT_FROM_TRIAL
        return odds > 0.0 and not (in_doubt and number % 2)

    def _best_rows(self, started: StartedTrials) -> Array:
        """Best first: those that came furthest, by what they were there."""
        reached = started.reached
        last = started.results[np.arange(len(reached)), np.maximum(reached, 0)]
        known = np.flatnonzero((reached >= 0) & np.isfinite(last))
        order = np.lexsort((last[known], -reached[known]))
        return np.asarray(started.rows[known[order]])
