"""Which configuration to try next, from past studies' predictions and the trials so far: pure, on rows of a cube."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from ..model.encoding import Cube
from ..model.gaussian_process import LENGTH
from ..model.past_studies import PastStudies
from ..model.single_study_gp import OPEN_LENGTH, SingleStudyGP
from ..model.transfer_gp import Points, TransferGP
from ..model.trial_cost import TrialCostModel

AT_RANDOM = 6  # trials of a study that nothing is known of
AMONG = 32  # of so many rows one is drawn where costs count
AFFORDABLE = 0.1  # of what was spent
POOL = 512  # configurations at random, of which some are looked at in every round
SURE = 1.5  # log odds that the past counts; with less, every other trial goes without it
ENOUGH, OPINION_EVERY = 10, 5  # from so many results on, every fifth trial goes without the past all the same
OWN, OF = 3, 4  # of four trials three, while those that are over are better predicted without it and it is not in doubt
LOOKED_AT, NEIGHBOURS, BEST = 400, 40, 5  # of the pool; of each of the best so far
CLIMB = (0.4, 0.2, 0.08, 0.03, 0.01)  # widths: how far neighbours of promising rows lie about, round by round
PEAKS, AMONG_PEAKS, STEPS = 8, 160, 10  # promising rows in a round, of so many; and neighbours of each
BESIDE_EVERY = 2  # of so many trials that look far, one looks beside the best
SUMMITS = 5  # that are climbed to the top by those that look far
CLOSE, BESIDE = 0.1, 1e-3  # so near to what is in flight, gain counts only where there is nothing else


@dataclass(frozen=True, slots=True)
class TriedTrials:
    """A study's trials that are over, best first, and what those in flight try. Rows of a cube."""

    rows: Array
    numbers: Array
    pending: Array
    costs: Array  # (trials,), in any unit; NaN where one is not known


@dataclass(frozen=True, slots=True)
class ExpectedGains:
    """Expected improvements of rows over the best trial, in the unit of the trials' scores, and what they cost."""

    rows: Array
    gain: Array  # (rows,); minus infinity for what was tried
    cost: Array  # (rows,), in the unit of the trials' costs
    scores: Array  # (trials,): of those that are over, best first
    spent: float  # on these

    def choice(self, number: int) -> int:
        """The place of the row that the trial of this number tries: what is expected to gain most for its cost.

        Gain for cost alone stays with what is cheap for good. So every third trial counts the gain only, among rows
        that cost little beside what was spent already.
        """
        affordable = (self.cost <= AFFORDABLE * self.spent) & np.isfinite(self.gain)
        if number % 3 == 2 and affordable.any():
            return int(np.argmax(np.where(affordable, self.gain, -np.inf)))
        return int(np.argmax(self.gain / self.cost))


class Search:
    """Proposes rows. It has no memory: a proposal follows from the trials and the random numbers."""

    def __init__(self, cube: Cube, past: PastStudies, seed: int, costs: TrialCostModel | None = None) -> None:
        """``costs``: None where all trials are taken to cost the same."""
        self._cube, self._past, self._costs = cube, past, costs
        self._pool = pool_of(cube, past, seed)
        self._pool_points = self._points(self._pool)
        self._tried_points: dict[bytes, Points] = {}  # of single rows: each round asks for all of them again

    def next(self, number: int, tried: TriedTrials, rng: np.random.Generator) -> Array:
        """The row that the trial of this number is to try, shape (parameters,)."""
        found = self.gains(number, tried, rng)
        return self.at_random(tried, rng) if found is None else np.asarray(found.rows[found.choice(number)])

    def at_random(self, tried: TriedTrials, rng: np.random.Generator) -> Array:
        """A row, shape (parameters,). Where costs count, one of half the cost is twice as likely."""
        if self._costs is None:
            return np.asarray(self._cube.random(1, rng)[0])
        rows = self._cube.random(AMONG, rng)
        each = 1.0 / self._cost(rows, tried)
        return np.asarray(rows[rng.choice(AMONG, p=each / each.sum())])

    def gains(self, number: int, tried: TriedTrials, rng: np.random.Generator) -> ExpectedGains | None:
        """What new rows are expected to gain; None where too little is known, and a random one is as good."""
        if self._past.count and not len(tried.rows):
            tried = self._believed(tried)
        own = self._without_past(tried) if self._past.count and len(tried.rows) >= ENOUGH else None
        in_doubt = True
        if self._past.count and len(tried.rows):
            model = TransferGP(self._past, self._remembered(tried.rows))
            in_doubt = model.log_odds <= SURE
            if not _leaves_out(number, model, own):
                rows, new = self._candidates(tried, rng)
                return self._of_new(rows, model.gain(self._points(tried.pending), new), model.scores, tried)
        if len(tried.rows) + len(tried.pending) < AT_RANDOM or len(tried.rows) < 2:
            return None
        # Not where the past has led to the best; nor by cost, where it would stay with what is cheap and unknown.
        looks_far = in_doubt and self._costs is None
        if own is None or looks_far:
            own = self._without_past(tried, OPEN_LENGTH if looks_far else LENGTH)
        # Over the best as it was seen, what lies far from it gains more; over the best without luck, what lies beside.
        bar = own.best if looks_far and number % BESIDE_EVERY else own.best_without_luck
        return self._gains_over(bar, own, tried, rng, to_tops=looks_far)

    def _gains_over(
        self, bar: float, own: SingleStudyGP, tried: TriedTrials, rng: np.random.Generator, *, to_tops: bool
    ) -> ExpectedGains:
        """What new rows are expected to gain over the bar by this study's trials alone."""
        sample, near = candidates(self._cube, self._pool, tried.rows, rng)
        rows, gain = self._climbed(own, bar, np.vstack([self._pool[sample], near]), tried, rng)
        if to_tops:
            rows, gain = self._at_summits(own, bar, rows, gain, tried)
        gain = np.where(self._is_beside(rows, tried.pending), BESIDE * gain, gain)
        return self._of_new(rows, gain, own.scores, tried)

    def _is_beside(self, rows: Array, pending: Array) -> NDArray[np.bool_]:
        """(rows,): whether something so alike is in flight that it will show nearly the same."""
        apart = self._cube.columns(rows)[:, None] - self._cube.columns(pending)
        return np.asarray(((apart * apart).sum(axis=2) < CLOSE * CLOSE).any(axis=1))

    def _without_past(self, tried: TriedTrials, length: tuple[float, float] = LENGTH) -> SingleStudyGP:
        columns, pending = self._cube.columns(tried.rows), self._cube.columns(tried.pending)
        return SingleStudyGP(columns, tried.numbers, pending, length)

    def _climbed(
        self, own: SingleStudyGP, bar: float, rows: Array, tried: TriedTrials, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """With neighbours of promising rows, ever nearer; and what all are expected to gain over the bar."""
        columns, cost = self._cube.columns(rows), self._cost(rows, tried)
        gain = own.gain(columns, bar)
        for far in CLIMB:
            more = self._cube.near(rows[_peaks(gain / cost, columns, far)], STEPS, rng, far)
            new = self._cube.columns(more)
            rows, columns = np.vstack([rows, more]), np.vstack([columns, new])
            gain, cost = np.append(gain, own.gain(new, bar)), np.append(cost, self._cost(more, tried))
        return rows, gain

    def _at_summits(
        self, own: SingleStudyGP, bar: float, rows: Array, gain: Array, tried: TriedTrials
    ) -> tuple[Array, Array]:
        """With rows at the tops of what the most promising ones lie on, which neighbours at random only come near."""
        smooth = self._cube.is_smooth
        if not smooth.any():
            return rows, gain
        columns, may_move = self._cube.columns(rows), smooth[self._cube.parameter]
        begin = _peaks(gain / self._cost(rows, tried), columns, CLOSE)[:SUMMITS]
        tops = rows[begin].copy()
        tops[:, smooth] = own.summits(columns[begin], bar, may_move)[:, may_move]
        tops = self._cube.snapped(tops)
        return np.vstack([rows, tops]), np.append(gain, own.gain(self._cube.columns(tops), bar))

    def _believed(self, tried: TriedTrials) -> TriedTrials:
        """Before the first result: those in flight, taken to come out in the order that the past expects."""
        order = np.argsort(self._points(tried.pending).predicted.mean(axis=1), kind="stable")
        return TriedTrials(tried.pending[order], order.astype(float), tried.pending[:0], np.full(len(order), np.nan))

    def _candidates(self, tried: TriedTrials, rng: np.random.Generator) -> tuple[Array, Points]:
        sample, near = candidates(self._cube, self._pool, tried.rows, rng)
        points = Points.together([self._pool_points.at(sample), self._points(near)])
        return np.vstack([self._pool[sample], near]), points

    def _points(self, rows: Array) -> Points:
        return Points.of(self._past, self._cube.columns(rows))

    def _remembered(self, rows: Array) -> Points:
        """Of what was tried. One by one, so that a host that restarts has the same to the last digit."""
        for row in rows:
            if row.tobytes() not in self._tried_points:
                self._tried_points[row.tobytes()] = self._points(row[None])
        return Points.together([self._tried_points[row.tobytes()] for row in rows])

    def _of_new(self, rows: Array, gain: Array, scores: Array, tried: TriedTrials) -> ExpectedGains:
        """What was tried or is in flight would show nothing new, unless there is nothing else."""
        known = self._cube.is_among(rows, np.vstack([tried.rows, tried.pending]))
        spent = float(np.nansum(tried.costs))
        return ExpectedGains(rows, np.where(known, -np.inf, gain), self._cost(rows, tried), scores, spent)

    def _cost(self, rows: Array, tried: TriedTrials) -> Array:
        if self._costs is None:
            return np.ones(len(rows))
        return self._costs.of(self._cube.columns(rows), self._cube.columns(tried.rows), tried.costs)


def _leaves_out(number: int, model: TransferGP, own: SingleStudyGP | None) -> bool:
    """Whether this trial goes without the past: all do if that says nothing, and some since it may mislead.

    ``own``: once there are enough results to be asked for an opinion.
    """
    odds = model.log_odds
    if odds <= 0.0:
        return True
    if own and own.misranked() < model.misranked():
        return odds <= SURE or number % OF < OWN
    if odds <= SURE:
        return number % 2 == 1
    return own is not None and number % OPINION_EVERY == 0


def _peaks(worth: Array, columns: Array, apart: float) -> list[int]:
    """Places of rows that are worth most, none nearer to a better one than so much: there are several summits."""
    order = np.argsort(-worth, kind="stable")[:AMONG_PEAKS]
    found: list[int] = []
    while len(order) and len(found) < PEAKS:
        found.append(int(order[0]))
        off = columns[order] - columns[order[0]]
        order = order[(off * off).sum(axis=1) > apart * apart]
    return found


def pool_of(cube: Cube, past: PastStudies, seed: int) -> Array:
    """Configurations at random, and those of past studies that lie within the bounds."""
    rng = np.random.default_rng([seed, 0])
    pool = cube.random(POOL, rng)
    if past.count:
        known = cube.filled(past.rows, rng)
        inside = ((known >= 0.0) & ((known <= 1.0) | ~cube.numeric)).all(axis=1)
        pool = np.vstack([pool, cube.snapped(known[inside])])
    return pool


def candidates(cube: Cube, pool: Array, best_first: Array, rng: np.random.Generator) -> tuple[NDArray[np.intp], Array]:
    """Places of a sample of the pool, and rows that are neighbours of the best so far."""
    sample = rng.choice(len(pool), min(LOOKED_AT, len(pool)), replace=False)
    return sample, cube.near(best_first[:BEST], NEIGHBOURS, rng)
