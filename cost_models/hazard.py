"""Hazard: preemption rate per hour as a function of the instance's age, and what is believed of it.

Two values. ``Hazard`` is a rate taken as known: what an estimate simulates. ``HazardBelief`` is a rate that is being
learned: a Gamma distribution over a constant rate, the conjugate prior of Poisson counts, so that seeing ``k``
preemptions in ``h`` instance-hours is an addition (Gelman et al., Bayesian Data Analysis, 3rd ed., section 2.6).
``published_belief`` is where learning starts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from .arrays import Array
from .errors import CostModelError
from .offer import Pool
from .sources.interruptions import Band, bands_source, interruption_bands

MONTH_HOURS = 730.0
PRIOR_EVENTS = 0.1  # interruptions that a published band is worth
WEAK_PRIOR_EVENTS = 0.05  # and that a guess from other pools is worth
GPU_FAMILIES = ("g4dn", "g5.", "g6", "p2", "p3", "p4", "p5")  # NVIDIA on x86: what the price sheets hold


@dataclass(frozen=True, slots=True)
class Hazard:
    """Weibull lifetimes: ``rate(age) = shape / scale * (age / scale) ** (shape - 1)``.

    ``shape`` 1 is a constant rate, below 1 the young die first, above 1 the old do. An infinite ``scale_hours`` means
    that nothing is ever preempted.

    Raises:
        CostModelError: shape or scale is not a positive number.
    """

    shape: float
    scale_hours: float

    def __post_init__(self) -> None:
        if not (0 < self.shape < math.inf and self.scale_hours > 0):
            raise CostModelError(f"hazard needs a positive shape and scale, not {self.shape} and {self.scale_hours} h")

    @classmethod
    def constant(cls, rate_per_hour: float) -> Hazard:
        """The same rate at every age; 0 is ``none()``.

        Raises:
            CostModelError: the rate is negative or not finite.
        """
        if not 0 <= rate_per_hour < math.inf:
            raise CostModelError(f"a preemption rate is zero or positive per hour, not {rate_per_hour}")
        return cls(1.0, 1.0 / rate_per_hour if rate_per_hour else math.inf)

    @classmethod
    def none(cls) -> Hazard:
        """Never preempted: on-demand capacity."""
        return cls(1.0, math.inf)

    @property
    def is_none(self) -> bool:
        """Whether nothing is ever preempted."""
        return math.isinf(self.scale_hours)

    @property
    def mean_lifetime_hours(self) -> float:
        """Mean hours to preemption, ``scale_hours * Gamma(1 + 1 / shape)``; infinite where there is none."""
        return self.scale_hours * math.gamma(1.0 + 1.0 / self.shape)

    def rate_per_hour(self, age_hours: float) -> float:
        """Preemptions per hour among instances of this age; infinite at age 0 where ``shape`` is below 1."""
        if self.is_none:
            return 0.0
        if self.shape == 1.0:
            return 1.0 / self.scale_hours
        if age_hours <= 0:
            return math.inf if self.shape < 1.0 else 0.0
        relative_age = age_hours / self.scale_hours
        return self.shape / self.scale_hours * math.pow(relative_age, self.shape - 1.0)

    def first_of(self, nodes: int) -> Hazard:
        """Hazard of the first loss among ``nodes`` instances that are preempted independently.

        The minimum of n Weibull lifetimes is Weibull with scale / n^(1/shape). Real pools lose instances together, so
        for several nodes this is the pessimistic end.
        """
        return self if self.is_none else Hazard(self.shape, self.scale_hours / nodes ** (1.0 / self.shape))

    def sample(self, rng: np.random.Generator, n: int) -> Array:
        """``n`` lifetimes in hours, shape (n,); the same generator state gives proportional lifetimes at any scale."""
        if self.is_none:
            return np.full(n, np.inf)
        unit = rng.standard_exponential(n)
        return self.scale_hours * (unit if self.shape == 1.0 else unit ** (1.0 / self.shape))


@dataclass(frozen=True, slots=True)
class HazardBelief:
    """Gamma(``events``, ``hours``) over a pool's constant rate: as if that many preemptions in that time were seen.

    Raises:
        CostModelError: events or hours is not positive: such a belief has no mean.
    """

    events: float
    hours: float  # instance-hours
    source: str

    def __post_init__(self) -> None:
        if not (0 < self.events < math.inf and 0 < self.hours < math.inf):
            raise CostModelError(f"a hazard belief needs events and hours above 0, not {self.events} in {self.hours} h")

    def updated(self, events: float, hours: float) -> HazardBelief:
        """This belief after ``events`` more preemptions in ``hours`` more instance-hours.

        Raises:
            CostModelError: a negative count or time.
        """
        if events < 0 or hours < 0:
            raise CostModelError(f"cannot have seen {events} preemptions in {hours} h")
        if events == 0 and hours == 0:
            return self
        seen = f"{events:g} preemptions in {hours:.1f} h seen here"
        return HazardBelief(self.events + events, self.hours + hours, f"{self.source}; {seen}")

    @property
    def mean_per_hour(self) -> float:
        """The expected rate, in preemptions per hour."""
        return self.events / self.hours

    def interval(self, mass: float) -> tuple[float, float]:
        """The central interval of the rate, in preemptions per hour, that holds ``mass`` of the belief, such as 0.8.

        Raises:
            CostModelError: ``mass`` is not between 0 and 1.
        """
        if not 0 < mass < 1:
            raise CostModelError(f"an interval holds between 0 and 1 of a belief, not {mass}")
        low, high = (1.0 - mass) / 2.0, (1.0 + mass) / 2.0
        from scipy.special import gammaincinv  # here: it takes a third of a second to load

        return float(gammaincinv(self.events, low)) / self.hours, float(gammaincinv(self.events, high)) / self.hours

    def hazard(self) -> Hazard:
        """The constant hazard at the belief's mean."""
        return Hazard.constant(self.mean_per_hour)


def band_rate_per_hour(band: Band) -> float:
    """The constant rate under which the band's midpoint is interrupted in a month: ``-ln(1 - p) / 730 h``."""
    return -math.log1p(-band.midpoint) / MONTH_HOURS


def published_belief(pool: Pool) -> HazardBelief:
    """What to believe of a pool that nobody here has used: AWS' published interruption bands.

    A band says which share ``p`` of instances was interrupted over the trailing month. At a constant rate ``r`` a
    share ``exp(-730 r)`` survives a month, so ``r = -ln(1 - p) / 730 h``, with ``p`` the band's midpoint: 2.5, 7.5,
    12.5, 17.5 and, for the open band above 20 %, 60 %. That is 0.003 to 0.13 % an hour.

    **Bands are optimistic about a given hour.** They measure a month's frequency over all zones of a region and over
    instances that ran through quiet weeks; recorded availability of single GPU zones breaks off about a hundred times
    as often. So the prior is light: worth a tenth of an interruption and at most the one month it was measured over. A
    few preemptions seen here outweigh it. A pool without a figure starts from the mean over AWS' GPU types, worth half
    of that; ``source`` says so.
    """
    band = interruption_bands().get((pool.region, pool.instance_type)) if pool.cloud == "aws" else None
    if band is None:
        rate, count = _mean_gpu_rate()
        source = (
            f"weak prior, no published figure for this {pool.cloud} pool: mean of {count} GPU bands, {bands_source()}"
        )
        return _prior(rate, WEAK_PRIOR_EVENTS, source)
    return _prior(band_rate_per_hour(band), PRIOR_EVENTS, f"{bands_source()}: {band} interrupted in a month")


def _prior(rate_per_hour: float, events: float, source: str) -> HazardBelief:
    hours = min(events / rate_per_hour, MONTH_HOURS)
    return HazardBelief(rate_per_hour * hours, hours, source)


@cache
def _mean_gpu_rate() -> tuple[float, int]:
    """Mean rate over AWS' GPU instance types in all regions, and how many bands that is."""
    rates = [
        band_rate_per_hour(band)
        for (_, instance_type), band in interruption_bands().items()
        if instance_type.startswith(GPU_FAMILIES)
    ]
    return sum(rates) / len(rates), len(rates)
