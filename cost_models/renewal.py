"""A run under preemption as a renewal process, simulated for all samples at once.

Each attempt pays set-up (provisioning and restore), then alternates ``interval`` hours of work with a checkpoint; the
last stretch of work may be shorter and also ends in a checkpoint. A preemption throws away what was done since the last
checkpoint, waits for capacity, and starts over with a young instance. The hazard starts with the set-up, since that is
when the instance is up and billed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arrays import Array
from .hazard import Hazard
from .tolerance import ROUNDING_ERROR

Flags = npt.NDArray[np.bool_]

MAX_ATTEMPTS = 1000  # a run that is not done by then is taken never to end
RATE_MASS = 0.95  # share of the belief about the rate that is simulated; faster rates are set to its upper end
_BLOCK = 64  # attempts drawn at once
_DRAWS = 60_000  # what a few milliseconds buy: runs of very many attempts get fewer samples
_FEWEST_SAMPLES = 200


@dataclass(frozen=True, slots=True)
class Process:
    """A run's parameters, all in hours."""

    work: float
    interval: float  # work between checkpoints
    checkpoint: float
    setup: float  # provisioning and restore
    queue: float  # mean wait for capacity after a preemption, exponential
    hazard: Hazard
    rate_events: float = math.inf  # the hazard's rate is known as if from so many preemptions seen; infinite: exactly

    @property
    def stretches(self) -> int:
        """Stretches of work that each end in a checkpoint."""
        return math.ceil(self.work / self.interval - ROUNDING_ERROR) if self.work > 0 else 0

    @property
    def shortfall(self) -> float:
        """By how much the last stretch is shorter than the others."""
        return max(0.0, self.stretches * self.interval - self.work)

    @property
    def uninterrupted(self) -> float:
        """Hours that the run takes without a preemption, all checkpoints included."""
        return self.setup + self.work + self.stretches * self.checkpoint

    @property
    def expected_attempts(self) -> float:
        """How many attempts a run takes, roughly.

        Under a constant hazard an attempt commits ``exp(-S/M) / (exp(cycle/M) - 1)`` stretches: S is the set-up, M the
        mean lifetime, cycle a stretch with its checkpoint.
        """
        mean = self.hazard.mean_lifetime_hours
        failures_a_stretch = math.expm1(min((self.interval + self.checkpoint) / mean, 100.0))
        return 1.0 + self.stretches * failures_a_stretch * math.exp(min(self.setup / mean, 100.0))


@dataclass(slots=True)
class Outcomes:
    """One entry a sample, each array of shape (samples,); infinite where the work did not end."""

    billed: Array  # hours of one node
    waited: Array
    lost: Array
    overhead: Array
    preemptions: Array

    @classmethod
    def zeros(cls, samples: int) -> Outcomes:
        """The outcomes of runs that have not begun: arrays of zeros, shape (samples,)."""
        return cls(*(np.zeros(samples) for _ in range(5)))

    def stretched(self, factors: Array, setup: float) -> Outcomes:
        """The same where the work turns out to be ``factors`` (samples,) times what was stated.

        All but the first set-up grows with the work: exact for a constant hazard in the limit of many attempts.
        """
        overhead = setup + (self.overhead - setup) * factors
        billed = setup + (self.billed - setup) * factors
        return Outcomes(billed, self.waited * factors, self.lost * factors, overhead, self.preemptions * factors)


def simulate(process: Process, samples: int, seed: int) -> Outcomes:
    """Run the process many times; the same seed gives the same result.

    Offers simulated with one seed see the same luck, so that they differ by their own terms only.

    Args:
        samples: at most; fewer where a run takes very many attempts, and one where nothing is ever preempted.

    Returns:
        Arrays of shape (samples,), in hours.
    """
    if process.hazard.is_none:
        samples = 1
    else:
        samples = max(min(samples, _FEWEST_SAMPLES), min(samples, int(_DRAWS / process.expected_attempts)))
    rng = np.random.default_rng(seed)
    longer = _lifetime_factors(process, samples, rng)
    outcomes, done, active, drawn, block = Outcomes.zeros(samples), np.zeros(samples), np.arange(samples), 0, 1
    while active.size and drawn < MAX_ATTEMPTS:
        lifetimes = (process.hazard.sample(rng, samples * block).reshape(samples, block) * longer[:, None])[active]
        finished = _advance(process, outcomes, done, active, np.minimum(lifetimes, 2.0 * process.uninterrupted + 1.0))
        active, drawn, block = active[~finished], drawn + block, min(2 * block, _BLOCK)
    outcomes.waited += process.queue * rng.standard_gamma(outcomes.preemptions)  # a sum of exponential waits
    for values in (outcomes.billed, outcomes.waited, outcomes.lost, outcomes.overhead, outcomes.preemptions):
        values[active] = np.inf
    return outcomes


def _lifetime_factors(process: Process, samples: int, rng: np.random.Generator) -> Array:
    """How much longer instances live than at the mean rate, by sample: the rate is Gamma distributed around it.

    The rates drawn are cut off at their 95 % quantile. A belief worth a fraction of a preemption has so long a tail
    that some rate lets nothing ever end, and one such sample makes every mean infinite; 10th and 90th percentiles do
    not reach beyond the cut.
    """
    if math.isinf(process.rate_events):
        return np.ones(samples)
    rates = rng.standard_gamma(process.rate_events, samples) / process.rate_events
    return 1.0 / np.clip(rates, 1e-9, max(float(np.quantile(rates, RATE_MASS)), 1e-9))


def _advance(process: Process, outcomes: Outcomes, done: Array, active: npt.NDArray[np.intp], lives: Array) -> Flags:
    """Play a block of attempts, ``lives`` of shape (active, attempts); True where the work ended."""
    cycle = process.interval + process.checkpoint
    working = np.maximum(lives - process.setup, 0.0)
    kept = np.floor(working / cycle)  # stretches committed, unless this attempt reaches the end
    after = done[active, None] + np.cumsum(kept, axis=1)
    before = after - kept
    ends = before + np.floor((working + process.shortfall) / cycle) >= process.stretches
    finished = ends.any(axis=1)
    last = np.where(finished, ends.argmax(axis=1), lives.shape[1])
    failed = np.arange(lives.shape[1]) < last[:, None]

    uncommitted = working - kept * cycle
    stretch = np.where(after == process.stretches - 1, process.interval - process.shortfall, process.interval)
    lost = np.minimum(uncommitted, stretch)
    rows = np.flatnonzero(finished)
    left = process.stretches - before[rows, last[rows]]  # stretches of the attempt that ends the work

    outcomes.preemptions[active] += failed.sum(axis=1)
    outcomes.lost[active] += (lost * failed).sum(axis=1)
    outcomes.overhead[active] += ((lives - kept * process.interval - lost) * failed).sum(axis=1)
    outcomes.overhead[active[rows]] += process.setup + left * process.checkpoint
    outcomes.billed[active] += (lives * failed).sum(axis=1)
    outcomes.billed[active[rows]] += process.setup + left * cycle - process.shortfall
    done[active] = after[:, -1]
    return np.asarray(finished, dtype=np.bool_)
