"""A team's own prices as a source, for machines that somebody lists; others are priced where they are offered."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from ..offer import Offer
from ..team_prices import TeamPrice, team_price
from .base import Quote, Reading, SourceQuery
from .sheet import offer_quotes


class TeamPriceSource:
    """The team's price file. Nothing of it is ever old: what has ended is left out, and said."""

    name = "prices"

    def __init__(self, prices: Sequence[TeamPrice], listed: Iterable[Offer]) -> None:
        """``listed``: at list prices, which discounts are off."""
        self._prices, self._listed = tuple(prices), tuple(listed)

    def read(self, query: SourceQuery, now: datetime) -> Reading:
        """The prices in force."""
        return Reading("team's prices", now, tuple(self._quotes(query, now)), tuple(self._not_in_force(now)))

    def _quotes(self, query: SourceQuery, now: datetime) -> Iterator[Quote]:
        for quote in offer_quotes(self._listed, query):
            price = team_price(self._prices, quote.pool, quote.market, now)
            paid = None if price is None else price.usd(quote.usd_per_hour)
            if price is not None and paid is not None:
                yield Quote(quote.pool, quote.market, paid, price.start or now)

    def _not_in_force(self, now: datetime) -> Iterator[str]:
        for price in self._prices:
            if price.end is not None and price.end <= now:
                yield f"{price.where}: ended on {price.end:%Y-%m-%d} (UTC)"
            elif price.start is not None and price.start > now:
                yield f"{price.where}: begins on {price.start:%Y-%m-%d} (UTC)"
