"""Which trial goes on, or which new one starts: freezing and thawing, as a pure function of what was seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from ..model.blas_threads import one_thread
from ..model.encoding import Cube
from ..model.learning_curves import CurveModel, FinalResults
from ..model.past_studies import PastStudies
from ..model.rank_scores import normal_scores
from ..model.single_study_gp import kernel_of
from ..model.trial_cost import TrialCostModel
from ..search.acquisition import SURE, candidates, pool_of
from .gittins_index import GittinsIndex

AT_RANDOM = 6  # trials of a study that nothing is known of
DOUBT = 6  # trials, from which on the past may be left out every other time
START = 0.03  # whole trainings that starting or resuming a process costs
DEAR, CHEAP = 0.3, 0.3 / 2**6  # what a whole training costs in results: at first, and when nothing is worth more


@dataclass(frozen=True, slots=True)
class Begun:
    """Trials that were started. Low results are good; NaN where one has not come so far, infinite where it failed."""

    rows: Array  # (trials, parameters)
    results: Array  # (trials, levels)
    free: NDArray[np.bool_]  # (trials,): may go on now
    costs: Array  # (trials,): of a whole training of each, in any unit; NaN where it is not known
    running: int | None = None  # of these the one that runs, and goes on without a start

    @property
    def reached(self) -> NDArray[np.intp]:
        """(trials,): the highest level of each; -1 while it has none."""
        return np.asarray((~np.isnan(self.results)).sum(axis=1) - 1)


@dataclass(frozen=True, slots=True)
class GoOn:
    """A trial goes on to its next level."""

    place: int  # of the trial in ``Begun``


@dataclass(frozen=True, slots=True)
class Begin:
    """A new trial starts."""

    row: Array  # (parameters,): its configuration


class FreezeThaw:
    """Chooses. It has no memory: a choice follows from the trials and the seed."""

    def __init__(
        self,
        cube: Cube,
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

    @one_thread()
    def choose(self, begun: Begun, *, may_begin: bool) -> GoOn | Begin | None:
        """None: nothing is worth what it costs, or nothing may start."""
        count = len(begun.rows)
        rng = np.random.default_rng([self._seed, 1 + count])
        if may_begin and count < len(self._first):
            return Begin(self._cube.filled(self._first[count : count + 1], rng)[0])
        if count < AT_RANDOM and not self._past.count:
            return Begin(np.asarray(self._cube.random(1, rng)[0])) if may_begin else self._first_free(begun)
        sample, near = candidates(self._cube, self._pool, self._best_rows(begun), rng)
        rows = np.vstack([self._pool[sample], near])
        tried, untried = self._beliefs(begun, self._cube.columns(rows))
        reached, dear, new_dear = begun.reached, self._whole_costs(begun, begun.rows), self._whole_costs(begun, rows)
        fresh = ~self._cube.is_among(rows, begun.rows) if may_begin else np.zeros(len(rows), dtype=bool)
        price = DEAR
        while price >= CHEAP:
            index = GittinsIndex(self._past.agreement.orders[:, -1], self._steps, START, price)
            own = np.full(count, np.inf)
            for place in np.flatnonzero(begun.free | (reached == len(self._levels) - 1)):
                one = slice(place, place + 1)
                goes = place == begun.running
                own[place] = index.of(tried.mean[one], tried.sd[one], dear[one], int(reached[place]), running=goes)[0]
            new = np.where(fresh, index.of(untried.mean, untried.sd, new_dear, -1), np.inf)
            best, first = own.min(initial=np.inf), new.min(initial=np.inf)
            if best == np.inf and first == np.inf:
                return None
            if first < best:
                return Begin(np.asarray(rows[int(new.argmin())]))
            goes_on = int(own.argmin())
            if begun.free[goes_on] and reached[goes_on] < len(self._levels) - 1:
                return GoOn(goes_on)
            price /= 2  # the best is in hand: what else would be worth it if trainings were cheaper?
        return None

    def _first_free(self, begun: Begun) -> GoOn | None:
        """So few trials, and no more are to come: one after the other to its end."""
        free = np.flatnonzero(begun.free)
        return GoOn(int(free[0])) if len(free) else None

    def _whole_costs(self, begun: Begun, rows: Array) -> Array:
        """What a whole training of each row costs, in those of the trials so far."""
        if self._costs is None:
            return np.ones(len(rows))
        known = begun.costs[np.isfinite(begun.costs)]
        columns = self._cube.columns(begun.rows)
        found = self._costs.of(self._cube.columns(rows), columns, begun.costs)
        return found / known.mean() if len(known) else found

    def _beliefs(self, begun: Begun, new: Array) -> tuple[FinalResults, FinalResults]:
        columns = self._cube.columns(begun.rows)
        if self._past.count:
            per_length = self._past.kernel.per_length
        else:
            early = begun.results[:, 0]  # those without a result come last, and matter only while there are no others
            order = np.argsort(early, kind="stable")[: max(2, np.count_nonzero(~np.isnan(early)))]
            per_length = kernel_of(columns[order], order.astype(float), normal_scores).per_length
        model = CurveModel(self._past, per_length, columns, begun.results)
        return model.final(new, with_past=self._trusts(model, begun))

    def _trusts(self, model: CurveModel, begun: Begun) -> bool:
        """Whether the past decides this time: as in ``search``."""
        if not self._past.count or not len(begun.rows):
            return bool(self._past.count)
        odds, number = model.log_odds, len(begun.rows)
        in_doubt = odds <= SURE and number >= DOUBT
        return odds > 0.0 and not (in_doubt and number % 2)

    def _best_rows(self, begun: Begun) -> Array:
        """Best first: those that came furthest, by what they were there."""
        reached = begun.reached
        last = begun.results[np.arange(len(reached)), np.maximum(reached, 0)]
        known = np.flatnonzero((reached >= 0) & np.isfinite(last))
        order = np.lexsort((last[known], -reached[known]))
        return np.asarray(begun.rows[known[order]])
