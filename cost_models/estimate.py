"""Estimates: what a run on an offer will cost and how long it will take, as a distribution, not a number.

``hours`` runs on the wall clock from launch to the last commit. What is billed is ``hours`` less the waits for
capacity, and splits without a rest: billed = work + lost work + overhead (expected values).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np

from .arrays import Array
from .errors import CostModelError
from .hazard import Hazard
from .interval import best_interval
from .money import MICRO_USD
from .offer import Offer
from .renewal import Outcomes, Process, simulate

NEVER_USD = Decimal("Infinity")
MICRO_HOURS = 1e-6


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Mean, 10th and 90th percentile. Where preemptions are rare but dear, the mean may lie above the 90th."""

    expected: float
    p10: float
    p90: float


@dataclass(frozen=True, slots=True)
class MoneyQuantiles:
    """The same in USD, to the millionth; ``Infinity`` where the work never ends."""

    expected: Decimal
    p10: Decimal
    p90: Decimal


@dataclass(frozen=True, slots=True)
class Overheads:
    """Hours that are billed and do no work."""

    provision_hours: float = 0.0  # each attempt: from launch until the program starts
    restore_hours: float = 0.0  # each attempt: loading the last checkpoint
    checkpoint_hours: float = 0.0  # each checkpoint: how long work stands still


@dataclass(frozen=True, slots=True)
class Estimate:
    """Predicted cost and time of a run on an offer. Counts and hours without quantiles are expected values."""

    hours: Quantiles  # wall clock
    cost_usd: MoneyQuantiles  # of all nodes
    work_hours: float  # on this offer, without interruption
    preemptions: float
    chance_to_meet_deadline: float | None  # None without a deadline
    checkpoint_interval_hours: float | None  # None: no hazard, so only the end is saved
    lost_work_hours: float
    overhead_hours: float  # provisioning, restoring, writing checkpoints

    @property
    def can_finish(self) -> bool:
        """False where preemptions come so fast that the work makes no headway; its cost and hours are infinite."""
        return math.isfinite(self.hours.expected)


def estimate(
    offer: Offer,
    work_hours: float,
    hazard: Hazard,
    overheads: Overheads,
    *,
    nodes: int = 1,
    interval_hours: float | None = None,
    least_interval_hours: float = 0.0,
    deadline_hours: float | None = None,
    queue_hours: float = 0.0,
    rate_events: float = math.inf,
    work_sigma: float = 0.0,
    samples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Predict cost and time of ``work_hours`` on ``nodes`` of an offer that stays available at its price.

    Args:
        work_hours: of all the work, on this offer, without interruption.
        hazard: of one instance; ignored on demand. The first instance lost ends the attempt for all nodes.
        interval_hours: work between checkpoints; None takes Daly's best where there is a hazard.
        least_interval_hours: what the work between checkpoints was seen to take at least, whatever is asked for.
        deadline_hours: from launch.
        queue_hours: mean wait for capacity after a preemption.
        rate_events: how well the hazard is known: as if from so many preemptions seen (``HazardBelief.events``). The
            percentiles then cover the rate's own uncertainty: Gamma distributed, cut off at its 95 % quantile.
        work_sigma: how well the work is known: standard deviation of the logarithm of true over stated work.

    Raises:
        CostModelError: a number that has no meaning, such as negative work.
    """
    _check_hours(work_hours, queue_hours, overheads)
    _check_terms(interval_hours, nodes, samples)
    faced = hazard.first_of(nodes) if offer.is_spot else Hazard.none()
    if interval_hours is None and not faced.is_none:
        interval_hours = best_interval(overheads.checkpoint_hours, faced.mean_lifetime_hours, work_hours)
    process = Process(
        work=work_hours,
        interval=_seen_interval(interval_hours, work_hours, least_interval_hours),
        checkpoint=overheads.checkpoint_hours,
        setup=overheads.provision_hours + overheads.restore_hours,
        queue=queue_hours,
        hazard=faced,
        rate_events=rate_events,
    )
    outcomes = simulate(process, samples, seed)
    if work_sigma > 0:
        outcomes = outcomes.stretched(_work_factors(work_sigma, samples, outcomes.billed.size, seed), process.setup)
    return _summary(outcomes, offer.price_usd_per_hour * nodes, work_hours, interval_hours, deadline_hours)


def _seen_interval(interval_hours: float | None, work_hours: float, least_hours: float) -> float:
    """What is simulated between two checkpoints: never more than all work."""
    whole = max(work_hours, MICRO_HOURS)
    asked = interval_hours or whole
    return asked if asked >= least_hours else min(least_hours, max(whole, asked))


def _summary(
    outcomes: Outcomes,
    price_usd_per_hour: Decimal,
    work_hours: float,
    interval_hours: float | None,
    deadline_hours: float | None,
) -> Estimate:
    hours = outcomes.billed + outcomes.waited
    billed = _quantiles(outcomes.billed)
    return Estimate(
        hours=_quantiles(hours),
        cost_usd=MoneyQuantiles(
            *(_usd(part, price_usd_per_hour) for part in (billed.expected, billed.p10, billed.p90))
        ),
        work_hours=work_hours,
        preemptions=float(outcomes.preemptions.mean()),
        chance_to_meet_deadline=None if deadline_hours is None else float((hours <= deadline_hours).mean()),
        checkpoint_interval_hours=interval_hours,
        lost_work_hours=float(outcomes.lost.mean()),
        overhead_hours=float(outcomes.overhead.mean()),
    )


def _work_factors(sigma: float, samples: int, simulated: int, seed: int) -> Array:
    """True over stated work, log-normal with median 1; on demand one simulated sample serves all factors."""
    count = samples if simulated == 1 else simulated
    factors: Array = np.exp(sigma * np.random.default_rng([seed, 1]).standard_normal(count))
    return factors


def _quantiles(values: Array) -> Quantiles:
    ordered = np.sort(values)  # percentiles are values that occurred: none is interpolated towards infinity
    p10, p90 = (float(ordered[math.ceil(part * ordered.size) - 1]) for part in (0.1, 0.9))
    return Quantiles(float(values.mean()), p10, p90)


def _usd(hours: float, price_usd_per_hour: Decimal) -> Decimal:
    if math.isinf(hours):
        return NEVER_USD
    return (Decimal(hours) * price_usd_per_hour).quantize(MICRO_USD, ROUND_HALF_EVEN)


def _check_hours(work_hours: float, queue_hours: float, overheads: Overheads) -> None:
    parts = (overheads.provision_hours, overheads.restore_hours, overheads.checkpoint_hours)
    if not all(0 <= hours < math.inf for hours in (work_hours, queue_hours, *parts)):
        raise CostModelError(
            f"an estimate needs finite hours of 0 or more, not work {work_hours}, queue {queue_hours}, {overheads}"
        )


def _check_terms(interval_hours: float | None, nodes: int, samples: int) -> None:
    if interval_hours is not None and not 0 < interval_hours < math.inf:
        raise CostModelError(f"the checkpoint interval must be above 0 h, not {interval_hours}; None takes the best")
    if nodes < 1 or samples < 1:
        raise CostModelError(f"an estimate needs at least one node and one sample, not {nodes} and {samples}")
