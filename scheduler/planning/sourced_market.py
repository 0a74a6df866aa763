"""What is known of the market, at the prices that sources say: for one job, and only about what it could use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from spotwise.cost_models.selection import reject_reason

from ..core.run import CostBasis
from ..jobfile.job_spec import JobSpec
from .enabled_sources import EnabledSources, joined_offers
from .market_snapshot import MarketSnapshot
from .price_sources import SourceAnswer
from .remote_checks import needed_features


def with_sources(
    known: MarketSnapshot, sources: EnabledSources | None, job: JobSpec, now: datetime
) -> tuple[MarketSnapshot, tuple[SourceAnswer, ...]]:
    """The same at the prices that win, and what sources said. An emulated market is priced by its own file.

    Waits for sources a bounded time, where their last answers are not fresh.
    """
    if sources is None or known.cost_basis is CostBasis.EMULATED:
        return known, ()
    resources, features = _at_any_price(job.resources or {}), needed_features(job)
    usable = [offer for offer in known.offers if reject_reason(offer, resources, features) is None]
    joined, answers = joined_offers(sources, known.offers, usable, job.num_nodes, now)
    return replace(known, offers=tuple(each.offer for each in joined)), answers


def _at_any_price(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Whether an offer is above ``max_hourly_cost`` is said by the price that wins, which is not known yet."""
    kept = {key: value for key, value in resources.items() if key != "max_hourly_cost"}
    for choices in ("any_of", "ordered"):
        if kept.get(choices):
            kept[choices] = [_at_any_price(each) for each in kept[choices]]
    return kept
