"""Learns a model of pools from recordings of their availability: expectation maximisation for a hidden Markov chain.

Baum et al., A maximization technique occurring in the statistical analysis of probabilistic functions of Markov chains,
Annals of Mathematical Statistics 41, 1970. Recordings are worked on side by side, a tick at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.availability.model import PHASE_TICKS, PHASES, TICK_HOURS, PoolModel
from spotwise.cost_models.errors import CostModelError

HAZARD_TICKS = 30.0  # what all pools together say of a hazard counts like so many ticks in every regime
STAY_TICKS = 50.0  # regimes last: as if each had been seen to stay for so many ticks
FIRST_SHIFT = 1 / 144  # a tick, to begin with: a day
_SPREAD = 1.0  # of the logarithm of hazards between regimes, to begin with


@dataclass(frozen=True, eq=False)
class _Counts:
    """Expected transitions under a model."""

    moves: Array  # (states, states)
    first: Array  # (states,)
    log_likelihood: float


def fit(recordings: Sequence[npt.NDArray[np.bool_]], regimes: int, *, rounds: int = 40, seed: int = 0) -> PoolModel:
    """Learn a model of ``regimes`` regimes.

    Args:
        recordings: of one pool each, shape (ticks,): whether there was capacity, a tick of ``TICK_HOURS`` each.
        seed: of the start that the rounds improve; another one may end in another, as good a model.

    Raises:
        CostModelError: nothing to learn from.
    """
    recordings = [recording for recording in recordings if len(recording) > 1]
    if not recordings or regimes < 1:
        raise CostModelError("a model is learned from at least one recording of two ticks, for at least one regime")
    pooled = _pooled_hazard(recordings)
    model = _start(pooled, regimes, np.random.default_rng(seed))
    for _ in range(rounds):
        model = _improved(model, _expected(model, recordings), pooled, len(recordings))
    return model


def log_likelihood(model: PoolModel, recordings: Sequence[npt.NDArray[np.bool_]]) -> float:
    """Of recordings under a model, in nats: the higher, the better it predicts them."""
    return _expected(model, recordings).log_likelihood


def _pooled_hazard(recordings: Sequence[npt.NDArray[np.bool_]]) -> Array:
    """(2, PHASES): chance a tick that a spell ends, over all recordings."""
    ends, ticks = np.full((2, PHASES), 1.0), np.full((2, PHASES), 10.0)
    edges = np.cumsum(PHASE_TICKS)
    for recording in recordings:
        changes = np.flatnonzero(recording[1:] != recording[:-1]) + 1
        starts = np.concatenate([[0], changes])
        ages = np.arange(len(recording)) - np.repeat(starts, np.diff([*starts, len(recording)]))
        there, phase = recording[:-1].astype(int), np.searchsorted(edges, ages[:-1], side="right")
        np.add.at(ticks, (there, phase), 1.0)
        np.add.at(ends, (there, phase), recording[1:] != recording[:-1])
    return np.asarray(ends / ticks)


def _start(pooled: Array, regimes: int, rng: np.random.Generator) -> PoolModel:
    level = np.exp(_SPREAD * rng.standard_normal((regimes, 2, 1)))
    shape = np.exp(0.3 * _SPREAD * rng.standard_normal((regimes, 2, PHASES)))
    shift = np.full((regimes, regimes), FIRST_SHIFT / max(regimes - 1, 1))
    np.fill_diagonal(shift, 1.0 - FIRST_SHIFT if regimes > 1 else 1.0)
    return PoolModel(_bounded(pooled[None] * level * shape), shift, np.full(regimes, 1.0 / regimes))


def _expected(model: PoolModel, recordings: Sequence[npt.NDArray[np.bool_]]) -> _Counts:
    """Forwards, then backwards over all recordings; shorter ones stand still at their end."""
    longest = max(len(recording) for recording in recordings)
    seen = np.zeros((longest, len(recordings)), dtype=int)
    runs = np.zeros((longest, len(recordings), 1), dtype=bool)
    for column, recording in enumerate(recordings):
        seen[: len(recording), column] = recording
        runs[: len(recording), column] = True
    step = model.steps(TICK_HOURS).any.astype(np.float32)
    fits = np.stack([1.0 - model.has_capacity, model.has_capacity]).astype(np.float32)
    forward = np.zeros((longest, len(recordings), model.states), dtype=np.float32)
    scale = np.ones((longest, len(recordings), 1), dtype=np.float32)
    now = np.broadcast_to(model.unseen.astype(np.float32), forward[0].shape)
    for tick in range(longest):
        ahead = (now if tick == 0 else now @ step) * fits[seen[tick]]
        scale[tick] = np.where(runs[tick], ahead.sum(axis=1, keepdims=True), 1.0)
        now = np.where(runs[tick], ahead / scale[tick], now)
        forward[tick] = now
    moves = np.zeros((model.states, model.states))
    backward = np.ones_like(forward[0])
    for tick in range(longest - 1, 0, -1):
        ahead = fits[seen[tick]] * backward / scale[tick]
        moves += (forward[tick - 1] * runs[tick]).T @ ahead
        backward = np.where(runs[tick], ahead @ step.T, backward)
    first = forward[0] * backward
    return _Counts(moves * step, (first / first.sum(axis=1, keepdims=True)).sum(axis=0), float(np.log(scale).sum()))


def _improved(model: PoolModel, counts: _Counts, pooled: Array, recordings: int) -> PoolModel:
    regimes = model.regimes
    moves = counts.moves.reshape(regimes, 2 * PHASES, regimes, 2 * PHASES)
    shift = moves.sum(axis=(1, 3)) + 1e-3 + STAY_TICKS * np.eye(regimes)
    spells = moves.sum(axis=0).reshape(2, PHASES, regimes, 2, PHASES)  # the hazard is the regime's that it arrives in
    hazard = np.empty_like(model.hazard)
    for there in (0, 1):
        ended, all_of_them = spells[there][:, :, 1 - there].sum(axis=2), spells[there].sum(axis=(2, 3))
        hazard[:, there] = ((ended + HAZARD_TICKS * pooled[there][:, None]) / (all_of_them + HAZARD_TICKS)).T
    visits = moves.sum(axis=(1, 2, 3))
    prior = counts.first.reshape(regimes, -1).sum(axis=1) + 0.5 * recordings * visits / visits.sum() + 0.1
    return PoolModel(_bounded(hazard), shift / shift.sum(axis=1, keepdims=True), prior / prior.sum())


def _bounded(hazard: Array) -> Array:
    return np.clip(hazard, 1e-5, 0.97)
