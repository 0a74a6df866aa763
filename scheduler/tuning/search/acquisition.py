"""Which configuration to try next, from past studies' predictions and the trials so far: pure, on rows of a unit cube.

Rows have the shape (rows, parameters); widths are those of a parameter's range. Improvements are in the unit of the
trials' scores (``rank_scores``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from ..model.encoding import UnitCube
from ..model.gaussian_process import LOG_LENGTH_PRIOR
from ..model.kernels import LogNormalPrior
from ..model.past_studies import PastStudies
from ..model.single_study_gp import WIDE_LOG_LENGTH_PRIOR, SingleStudyGP
from ..model.transfer_gp import PointFeatures, TransferGP
from ..model.trial_cost import TrialCostModel
from .portfolio import INITIAL_RANDOM_TRIALS

# What each was chosen by stands in docs/tuning.md ("What it cost to find out"); the others are not tuned.

# Whether a trial goes by past studies
MIN_LOG_ODDS_FOR_PAST = 1.5  # nats, that the past counts: with less, every other trial goes without it. Not tuned
MIN_RESULTS_TO_COMPARE = 10  # trials that are over, from which on both predictions are compared. Not tuned
WITHOUT_PAST_EVERY = 5  # trials: then one goes without the past in any case (docs/tuning.md)
TRIALS_WITHOUT_PAST, OF_TRIALS = 3, 4  # where these trials predict each other better (docs/tuning.md)

# What a trial costs
RANDOM_ROWS_BY_COST = 32  # of which one is drawn where costs count. Not tuned
IMPROVEMENT_ONLY_EVERY = 3  # trials: one of them counts improvement and not cost (docs/tuning.md)
MAX_COST_OF_SPENT = 0.1  # of what was spent: the most that such a trial may cost (docs/tuning.md)

# Candidates
POOL_SIZE = 512  # random configurations of the space. Not tuned
POOL_SAMPLE = 400  # of these, judged in each round. Not tuned
BEST_TRIALS, NEIGHBOURS_OF_BEST = 5, 40  # neighbours of each of the best trials. Not tuned

# Local search. Starts lie apart, and the first round is wide (docs/tuning.md); the numbers are not tuned.
LOCAL_SEARCH_WIDTHS = (0.4, 0.2, 0.08, 0.03, 0.01)  # widths: how far neighbours lie, round by round
LOCAL_SEARCH_STARTS, LOCAL_SEARCH_STARTS_AMONG = 8, 160  # rows of the largest improvement for its cost
LOCAL_SEARCH_NEIGHBOURS = 10  # of each start
GRADIENT_SEARCH_STARTS = 5  # local maxima that are climbed by gradient where the search explores

DENOISED_INCUMBENT_EVERY = 2  # exploring trials: one of them compares with the best less its noise (docs/tuning.md)
PENDING_RADIUS = 0.1  # encoded distance: closer to a configuration that still runs, a row shows nearly the same
PENDING_DISCOUNT = 1e-3  # factor of the improvement there: it counts only where there is nothing else. Not tuned


@dataclass(frozen=True, slots=True)
class TriedTrials:
    """A study's trials that are over, best first, and the configurations that still run."""

    rows: Array  # (trials, parameters)
    numbers: Array  # (trials,): their numbers in the study
    pending: Array  # (pending, parameters)
    costs: Array  # (trials,), in any unit; NaN where one is not known


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Candidates with their expected improvement over the best trial, and their expected cost."""

    rows: Array  # (rows, parameters)
    improvement: Array  # (rows,); minus infinity for what was tried
    cost: Array  # (rows,), in the unit of the trials' costs
    scores: Array  # (trials,): of those that are over, best first
    spent: float  # on these

    def choice(self, number: int) -> int:
        """The index of the row that the trial of this number tries: the largest expected improvement for its cost.

        That alone stays with what is cheap for good. So every third trial counts the improvement only, among rows that
        cost little beside what was spent already.
        """
        affordable = (self.cost <= MAX_COST_OF_SPENT * self.spent) & np.isfinite(self.improvement)
        if number % IMPROVEMENT_ONLY_EVERY == IMPROVEMENT_ONLY_EVERY - 1 and affordable.any():
            return int(np.argmax(np.where(affordable, self.improvement, -np.inf)))
        return int(np.argmax(self.improvement / self.cost))


class Search:
    """Proposes rows. It has no memory: a proposal follows from the trials and the random numbers."""

    def __init__(self, cube: UnitCube, past: PastStudies, seed: int, costs: TrialCostModel | None = None) -> None:
        """``costs``: None where all trials are taken to cost the same."""
        self._cube, self._past, self._costs = cube, past, costs
        self._pool = pool_of(cube, past, seed)
        self._pool_points = self._points(self._pool)
        self._tried_points: dict[bytes, PointFeatures] = {}  # of single rows: each round asks for all of them again

    def propose(self, number: int, tried: TriedTrials, rng: np.random.Generator) -> Array:
        """The row that the trial of this number is to try, shape (parameters,)."""
        found = self.scored_rows(number, tried, rng)
        return self.at_random(tried, rng) if found is None else np.asarray(found.rows[found.choice(number)])

    def at_random(self, tried: TriedTrials, rng: np.random.Generator) -> Array:
        """A row, shape (parameters,). Where costs count, one of half the cost is twice as likely."""
        if self._costs is None:
            row = self._cube.random(1, rng)[0]
        else:
            rows = self._cube.random(RANDOM_ROWS_BY_COST, rng)
            each = 1.0 / self._cost(rows, tried)
            row = rows[rng.choice(RANDOM_ROWS_BY_COST, p=each / each.sum())]
        return np.asarray(self._untried_row(row, tried, rng))

    def _untried_row(self, row: Array, tried: TriedTrials, rng: np.random.Generator) -> Array:
        """The row, or another at random where it was tried already or runs: a space of few configurations repeats."""
        known = np.vstack([tried.rows, tried.pending])
        if not self._cube.is_among(row[None], known)[0]:
            return row
        left = self._pool[~self._cube.is_among(self._pool, known)]
        return np.asarray(left[rng.integers(len(left))]) if len(left) else row

    def scored_rows(self, number: int, tried: TriedTrials, rng: np.random.Generator) -> ScoredRows | None:
        """Candidates for the trial of this number; None where too little is known, and a random row is as good."""
        if self._past.count and not len(tried.rows):
            tried = self._pending_as_results(tried)
        own = self._without_past(tried) if self._past.count and len(tried.rows) >= MIN_RESULTS_TO_COMPARE else None
        in_doubt = True
        if self._past.count and len(tried.rows):
            model = TransferGP(self._past, self._remembered(tried.rows))
            in_doubt = model.log_odds <= MIN_LOG_ODDS_FOR_PAST
            if not _goes_without_past(number, model, own):
                rows, new = self._candidates(tried, rng)
                improvement = model.expected_improvement(self._points(tried.pending), new)
                return self._of_new(rows, improvement, model.scores, tried)
        if len(tried.rows) + len(tried.pending) < INITIAL_RANDOM_TRIALS or len(tried.rows) < 2:
            return None
        # Not where the past has led to the best; nor by cost, where it would stay with what is cheap and unknown.
        explores = in_doubt and self._costs is None
        if own is None or explores:
            own = self._without_past(tried, WIDE_LOG_LENGTH_PRIOR if explores else LOG_LENGTH_PRIOR)
        # Over the best as it was observed, distant rows improve more; over the best less its noise, those beside it.
        incumbent = own.best if explores and number % DENOISED_INCUMBENT_EVERY else own.best_denoised
        return self._without_past_rows(own, incumbent, tried, rng, explores=explores)

    def _without_past_rows(
        self, own: SingleStudyGP, incumbent: float, tried: TriedTrials, rng: np.random.Generator, *, explores: bool
    ) -> ScoredRows:
        """Candidates by this study's trials alone."""
        sample, near = candidates(self._cube, self._pool, tried.rows, rng)
        rows, improvement = self._local_search(own, incumbent, np.vstack([self._pool[sample], near]), tried, rng)
        if explores:
            rows, improvement = self._with_local_maxima(own, incumbent, rows, improvement, tried)
        discounted = np.where(self._is_near_pending(rows, tried.pending), PENDING_DISCOUNT * improvement, improvement)
        return self._of_new(rows, discounted, own.scores, tried)

    def _is_near_pending(self, rows: Array, pending: Array) -> NDArray[np.bool_]:
        """(rows,): whether something so similar still runs that each would show nearly the same."""
        offsets = self._cube.columns(rows)[:, None] - self._cube.columns(pending)
        return np.asarray(((offsets * offsets).sum(axis=2) < PENDING_RADIUS * PENDING_RADIUS).any(axis=1))

    def _without_past(self, tried: TriedTrials, log_length: LogNormalPrior = LOG_LENGTH_PRIOR) -> SingleStudyGP:
        columns, pending = self._cube.columns(tried.rows), self._cube.columns(tried.pending)
        return SingleStudyGP(columns, tried.numbers, pending, log_length)

    def _local_search(
        self, own: SingleStudyGP, incumbent: float, rows: Array, tried: TriedTrials, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """The rows with neighbours of promising ones, ever closer; and the expected improvement of all."""
        columns, cost = self._cube.columns(rows), self._cost(rows, tried)
        improvement = own.expected_improvement(columns, incumbent)
        for width in LOCAL_SEARCH_WIDTHS:
            starts = _best_apart(improvement / cost, columns, width)
            more = self._cube.neighbours(rows[starts], LOCAL_SEARCH_NEIGHBOURS, rng, width)
            new = self._cube.columns(more)
            rows, columns = np.vstack([rows, more]), np.vstack([columns, new])
            improvement = np.append(improvement, own.expected_improvement(new, incumbent))
            cost = np.append(cost, self._cost(more, tried))
        return rows, improvement

    def _with_local_maxima(
        self, own: SingleStudyGP, incumbent: float, rows: Array, improvement: Array, tried: TriedTrials
    ) -> tuple[Array, Array]:
        """The rows with the local maxima of improvement by gradient, which random neighbours only come near."""
        smooth = self._cube.is_smooth
        if not smooth.any():
            return rows, improvement
        columns, may_move = self._cube.columns(rows), smooth[self._cube.parameter]
        starts = _best_apart(improvement / self._cost(rows, tried), columns, PENDING_RADIUS)[:GRADIENT_SEARCH_STARTS]
        maxima = rows[starts].copy()
        maxima[:, smooth] = own.local_maxima(columns[starts], incumbent, may_move)[:, may_move]
        maxima = self._cube.snapped(maxima)
        of_maxima = own.expected_improvement(self._cube.columns(maxima), incumbent)
        return np.vstack([rows, maxima]), np.append(improvement, of_maxima)

    def _pending_as_results(self, tried: TriedTrials) -> TriedTrials:
        """Before the first result: pending trials, taken to come out in the order that the past predicts."""
        order = np.argsort(self._points(tried.pending).predicted.mean(axis=1), kind="stable")
        return TriedTrials(tried.pending[order], order.astype(float), tried.pending[:0], np.full(len(order), np.nan))

    def _candidates(self, tried: TriedTrials, rng: np.random.Generator) -> tuple[Array, PointFeatures]:
        sample, near = candidates(self._cube, self._pool, tried.rows, rng)
        points = PointFeatures.together([self._pool_points.at(sample), self._points(near)])
        return np.vstack([self._pool[sample], near]), points

    def _points(self, rows: Array) -> PointFeatures:
        return PointFeatures.of(self._past, self._cube.columns(rows))

    def _remembered(self, rows: Array) -> PointFeatures:
        """Of what was tried. One by one, so that a host that restarts has the same to the last digit."""
        for row in rows:
            if row.tobytes() not in self._tried_points:
                self._tried_points[row.tobytes()] = self._points(row[None])
        return PointFeatures.together([self._tried_points[row.tobytes()] for row in rows])

    def _of_new(self, rows: Array, improvement: Array, scores: Array, tried: TriedTrials) -> ScoredRows:
        """What was tried or still runs would show nothing new, unless there is nothing else."""
        known = self._cube.is_among(rows, np.vstack([tried.rows, tried.pending]))
        spent = float(np.nansum(tried.costs))
        return ScoredRows(rows, np.where(known, -np.inf, improvement), self._cost(rows, tried), scores, spent)

    def _cost(self, rows: Array, tried: TriedTrials) -> Array:
        if self._costs is None:
            return np.ones(len(rows))
        return self._costs.predict(self._cube.columns(rows), self._cube.columns(tried.rows), tried.costs)


def _goes_without_past(number: int, model: TransferGP, own: SingleStudyGP | None) -> bool:
    """Whether this trial goes without the past: all do if that says nothing, and some since it may mislead.

    ``own``: once there are enough results to compare both.
    """
    odds = model.log_odds
    if odds <= 0.0:
        return True
    if own and own.misranked_share() < model.misranked_share():
        return odds <= MIN_LOG_ODDS_FOR_PAST or number % OF_TRIALS < TRIALS_WITHOUT_PAST
    if odds <= MIN_LOG_ODDS_FOR_PAST:
        return number % 2 == 1
    return own is not None and number % WITHOUT_PAST_EVERY == 0


def _best_apart(values: Array, columns: Array, distance: float) -> list[int]:
    """Indices of the rows of the largest values, none closer to a larger one than so: there are several maxima."""
    order = np.argsort(-values, kind="stable")[:LOCAL_SEARCH_STARTS_AMONG]
    found: list[int] = []
    while len(order) and len(found) < LOCAL_SEARCH_STARTS:
        found.append(int(order[0]))
        offsets = columns[order] - columns[order[0]]
        order = order[(offsets * offsets).sum(axis=1) > distance * distance]
    return found


def pool_of(cube: UnitCube, past: PastStudies, seed: int) -> Array:
    """Random configurations, and those of past studies that lie within the bounds, shape (rows, parameters).

    All there are, where they are fewer than would be drawn.
    """
    every = cube.all_rows(POOL_SIZE - 1)
    if every is not None:
        return every
    rng = np.random.default_rng([seed, 0])
    pool = cube.random(POOL_SIZE, rng)
    if past.count:
        known = cube.filled(past.rows, rng)
        inside = ((known >= 0.0) & ((known <= 1.0) | ~cube.numeric)).all(axis=1)
        pool = np.vstack([pool, cube.snapped(known[inside])])
    return pool


def candidates(
    cube: UnitCube, pool: Array, best_first: Array, rng: np.random.Generator
) -> tuple[NDArray[np.intp], Array]:
    """Indices of a sample of the pool, and rows that are neighbours of the best so far. All of a pool that is a whole
    space: what nobody tried yet must be among them.
    """
    sample = rng.choice(len(pool), POOL_SAMPLE if len(pool) >= POOL_SIZE else len(pool), replace=False)
    return sample, cube.neighbours(best_first[:BEST_TRIALS], NEIGHBOURS_OF_BEST, rng)
