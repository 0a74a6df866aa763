"""Whether a short run on an accelerator that the job has not run on is worth its price. Pure.

The speed there is uncertain, so today's choice may be wrong. A probe shows the speed and the choice is made after it:
what that is expected to save (the value of perfect information on this speed) less what the probe costs is its worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from statistics import NormalDist

from spotwise.cost_models.offer import Offer
from spotwise.cost_models.throughput import FOUR_IN_FIVE

from ..core.money import in_micro_usd, json_usd, short_usd
from ..policies import ONE_MARKET
from ..policies.base import Candidate, Situation
from .market_snapshot import MarketSnapshot
from .work_estimate import WorkEstimate

PROBE_SHARE = 0.02  # of all work, which is some epochs of most jobs
LEAST_CHANCE = 0.5  # to meet the deadline: what would more likely be late is not looked at
LEAST_WORTH_USD = Decimal("0.01")  # below a cent nobody measures anything
_STANDARD = NormalDist()


@dataclass(frozen=True, slots=True)
class Probe:
    """A short run that is worth its price."""

    offer: Offer
    price_usd: Decimal  # of the start and the share of work
    saves_usd: Decimal  # expected, of choosing after it in place of now; its price is not subtracted
    factor: float  # speed against the reference that is expected now
    sigma: float

    @property
    def text(self) -> str:
        within = math.exp(FOUR_IN_FIVE * self.sigma)
        return (
            f"a short run on {self.offer.key} would show how fast the job is there ({self.factor:.2g} times "
            f"the reference is expected, within a factor of {within:.2g}): about {short_usd(self.price_usd)} USD, "
            f"and choosing after it saves {short_usd(self.saves_usd)} USD on average"
        )


def worthwhile_probe(
    situation: Situation, chosen: Offer | None, policy: str, work: WorkEstimate, known: MarketSnapshot
) -> Probe | None:
    """The probe with the largest worth, of the offers that the policy could take; None where none is worth its price.

    None too where all offers are this machine: then none is faster than another.
    """
    picked = next((c for c in situation.candidates if c.offer == chosen), None)
    if picked is None or work.hours is None or work.reference is None or known.one_machine:
        return None
    now = float(picked.estimate.cost_usd.expected)
    if not math.isfinite(now):
        return None
    best: dict[str | None, Candidate] = {}  # the cheapest offer of each accelerator: its speed is one question
    for candidate in situation.candidates:
        before = best.get(candidate.offer.accelerator)
        if _usable(candidate, policy) and (before is None or _cost(candidate) < _cost(before)):
            best[candidate.offer.accelerator] = candidate
    probes = (
        _probe(c, now, work, known, situation.nodes) for name, c in best.items() if name != picked.offer.accelerator
    )
    worth = [probe for probe in probes if probe is not None and probe.saves_usd - probe.price_usd >= LEAST_WORTH_USD]
    return max(worth, key=lambda probe: probe.saves_usd - probe.price_usd, default=None)


def probe_json(probe: Probe | None) -> dict[str, object] | None:
    """Stable keys; money as decimal strings."""
    if probe is None:
        return None
    return {
        "offer": probe.offer.key,
        "accelerator": probe.offer.accelerator,
        "price_usd": json_usd(probe.price_usd),
        "may_save_usd": json_usd(probe.saves_usd),
        "expected_speed": probe.factor,
        "speed_sigma": probe.sigma,
    }


def expected_gain(now: float, there: float, sigma: float) -> float:
    """Expected fall below ``now`` of a log-normal cost with mean ``there``: what choosing after a look saves.

    The same closed form as a put option's (Black and Scholes, 1973). Only where the look can change the choice.
    """
    if there <= 0 or now <= 0:
        return 0.0
    if sigma <= 0:
        return max(now - there, 0.0)
    distance = (math.log(now / there) + 0.5 * sigma**2) / sigma
    return now * _STANDARD.cdf(distance) - there * _STANDARD.cdf(distance - sigma)


def _usable(candidate: Candidate, policy: str) -> bool:
    chance = candidate.estimate.chance_to_meet_deadline
    market = ONE_MARKET.get(policy, candidate.offer.market.value)
    in_time = chance is None or chance >= LEAST_CHANCE
    return in_time and candidate.available is not False and candidate.offer.market.value == market


def _probe(candidate: Candidate, now: float, work: WorkEstimate, known: MarketSnapshot, nodes: int) -> Probe | None:
    speed, there = work.speed(known, candidate.offer), _cost(candidate)
    if speed is None or speed.sigma <= 0 or not math.isfinite(there) or work.hours is None:
        return None
    hours = known.restart_hours + PROBE_SHARE * work.hours / speed.factor
    price = Decimal(hours) * candidate.offer.price_usd_per_hour * nodes
    saves = expected_gain(now, there, speed.sigma) - max(now - there, 0.0)
    return Probe(candidate.offer, in_micro_usd(price), in_micro_usd(Decimal(saves)), speed.factor, speed.sigma)


def _cost(candidate: Candidate) -> float:
    return float(candidate.estimate.cost_usd.expected)
