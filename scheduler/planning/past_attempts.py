"""What a market snapshot needs of all attempts that were ever made: counts of all, and the attempts of late."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotwise.cost_models.offer import Pool

from ..core.pool_exposure import PoolExposure
from ..core.run import Attempt
from ..store import Store
from .availability_history import REMEMBERED_HOURS

_REAL_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class PastAttempts:
    """What this installation has seen of the market."""

    recent: Sequence[Attempt]  # in the order they were made
    exposures: Mapping[Pool, PoolExposure]  # of all attempts


def read_past_attempts(store: Store, hour_s: Decimal, now: datetime, cooldown_hours: float) -> PastAttempts:
    """Read them from the store.

    Args:
        hour_s: wall-clock seconds of one billed hour of the market that is asked about.
        cooldown_hours: billed; for so long a refusal counts.
    """
    # Each attempt is remembered by its own billed hour, which is a real one or that of an emulated market.
    hour = timedelta(seconds=max(float(hour_s), _REAL_HOUR_S))
    since = now - hour * max(REMEMBERED_HOURS, cooldown_hours)
    return PastAttempts(store.attempts(since=since), store.pool_exposures(now))
