"""What attempts have seen of spot capacity, by pool: what a deadline policy's beliefs are made of. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from spotwise.cost_models.availability import AvailabilityHistory
from spotwise.cost_models.availability.model import TICK_HOURS
from spotwise.cost_models.offer import Pool

from ..core.run import Attempt, AttemptState
from ..policies.base import EPOCH

REMEMBERED_HOURS = 24.0 * 14  # billed; regimes of pools shift in days


class _Look(NamedTuple):
    at_hours: float
    available: bool
    held: bool


def availability_histories(attempts: Iterable[Attempt], now: datetime) -> dict[Pool, AvailabilityHistory]:
    """By spot pool, on the clock of ``policies.base.EPOCH``.

    An attempt that came up saw capacity, and goes on seeing it for as long as it runs; one that was preempted, or for
    which there was none, saw that it was gone. Several attempts in one pool are told as they happened.
    """
    looks: dict[Pool, list[_Look]] = {}
    for attempt in attempts:
        if attempt.offer.is_spot:
            looks.setdefault(attempt.offer.pool, []).extend(_looks(attempt, now))
    chains = {}
    for pool, seen in looks.items():
        chain: AvailabilityHistory | None = None
        for look in sorted(seen):
            chain = AvailabilityHistory(look.at_hours, look.available, chain, look.held)
        if chain is not None:
            chains[pool] = chain
    return chains


def _looks(attempt: Attempt, now: datetime) -> Iterator[_Look]:
    hour = timedelta(seconds=float(attempt.hour_s))
    oldest = (now - EPOCH) / hour - REMEMBERED_HOURS
    end = ((attempt.ended_at or now) - EPOCH) / hour
    if end < oldest:
        return
    if attempt.state is AttemptState.REFUSED:
        yield _Look(end, available=False, held=False)
        return
    if attempt.started_at is None and not attempt.state.is_final:
        return  # nobody knows yet
    at = max((attempt.launched_at - EPOCH) / hour, oldest)
    yield _Look(at, available=True, held=False)
    while at + TICK_HOURS <= end:
        at += TICK_HOURS
        yield _Look(at, available=True, held=True)
    if attempt.state is AttemptState.PREEMPTED:
        yield _Look(end, available=False, held=False)
