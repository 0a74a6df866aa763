"""Offers as all sources together price them. Pure.

A team's own price wins. Among the others the fresher *reading* wins: a source that was asked today and says "in force
since three weeks" is fresher than a sheet of last week. What differs from the winner by more than `FAR_APART` is kept
and shown: two sources that far apart are not both right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from .offer import Market, Offer, Pool
from .sources.base import CapacitySignal, HazardWitness, Quote, Reading
from .team_prices import TeamPrice, team_price

FAR_APART = 2  # times: prices of one machine that differ by more disagree

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SourcedPrice:
    """What one source says of a price."""

    usd_per_hour: Decimal
    source: str  # for people
    at: datetime | None  # in force since then; None: the source does not say
    read_at: datetime | None  # known to hold then

    @property
    def freshness(self) -> datetime:
        """What the fresher of two is told by; a price that nobody dated is the oldest."""
        return self.read_at or _NEVER


@dataclass(frozen=True, slots=True)
class SourcedCapacity:
    """A signal of capacity, and who gave it."""

    signal: CapacitySignal
    source: str


@dataclass(frozen=True, slots=True)
class SourcedWitness:
    """A statement about preemptions, and who made it."""

    witness: HazardWitness
    source: str


@dataclass(frozen=True, slots=True)
class JoinedOffer:
    """An offer at the price that wins, and all else that sources say of it."""

    offer: Offer
    price: SourcedPrice  # the offer's own
    disagrees: tuple[SourcedPrice, ...] = ()  # the others that differ from it by more than `FAR_APART`
    capacity: SourcedCapacity | None = None  # of spot only
    witnesses: tuple[SourcedWitness, ...] = ()


@dataclass(frozen=True, slots=True)
class _Machine:
    """What quotes are looked up by: a pool without its zone, and a market."""

    cloud: str
    region: str
    instance_type: str
    accelerators: str

    @classmethod
    def of(cls, pool: Pool) -> _Machine:
        return cls(pool.cloud, pool.region, pool.instance_type, pool.accelerators)


class PriceBook:
    """All that was read, ready to be looked up."""

    def __init__(self, readings: Iterable[Reading], team_prices: Sequence[TeamPrice] = ()) -> None:
        self._readings = tuple(readings)
        self._team = tuple(team_prices)
        self._quotes: list[dict[tuple[_Machine, Market], dict[str, Quote]]] = []
        self._signals: dict[_Machine, list[SourcedCapacity]] = {}
        self._witnesses: dict[_Machine, list[SourcedWitness]] = {}
        for reading in self._readings:
            self._quotes.append({})
            for row in reading.rows:
                self._note(reading, row)

    def _note(self, reading: Reading, row: object) -> None:
        match row:
            case Quote():
                zones = self._quotes[-1].setdefault((_Machine.of(row.pool), row.market), {})
                known = zones.get(row.pool.zone)
                if known is None or known.at <= row.at:  # a later change of the price is the one in force
                    zones[row.pool.zone] = row
            case CapacitySignal():
                found = SourcedCapacity(row, reading.source)
                self._signals.setdefault(_Machine.of(row.pool), []).append(found)
            case HazardWitness():
                said = SourcedWitness(row, reading.source)
                self._witnesses.setdefault(_Machine.of(row.pool), []).append(said)

    def quotes(self) -> Iterator[tuple[Quote, Reading]]:
        """The price in force of every pool and market that a reading has, with that reading."""
        for reading, quotes in zip(self._readings, self._quotes, strict=True):
            for zones in quotes.values():
                for quote in zones.values():
                    yield quote, reading

    def joined(self, offers: Iterable[Offer], now: datetime) -> list[JoinedOffer]:
        """Each offer at the price that wins, in the same order."""
        return [self._joined(offer, now) for offer in offers]

    def _joined(self, offer: Offer, now: datetime) -> JoinedOffer:
        own = SourcedPrice(offer.price_usd_per_hour, offer.source, offer.read_at, offer.read_at)
        said = self._said(offer.pool, offer.market, own)
        price = self._winner(offer.pool, offer.market, said, now) or own
        on_demand = price if offer.market is Market.ON_DEMAND else self._on_demand(offer, now)
        return JoinedOffer(
            offer=replace(
                offer,
                price_usd_per_hour=price.usd_per_hour,
                on_demand_usd_per_hour=on_demand.usd_per_hour if on_demand else None,
                source=price.source,
                read_at=price.read_at,
            ),
            price=price,
            disagrees=tuple(other for other in said if _far_apart(other.usd_per_hour, price.usd_per_hour)),
            capacity=self._capacity(offer.pool) if offer.is_spot else None,
            witnesses=self._said_of_preemptions(offer.pool) if offer.is_spot else (),
        )

    def _on_demand(self, offer: Offer, now: datetime) -> SourcedPrice | None:
        """What savings are counted against is joined as well."""
        listed = offer.on_demand_usd_per_hour
        own = None if listed is None else SourcedPrice(listed, offer.source, offer.read_at, offer.read_at)
        return self._winner(offer.pool, Market.ON_DEMAND, self._said(offer.pool, Market.ON_DEMAND, own), now)

    def _said(self, pool: Pool, market: Market, own: SourcedPrice | None) -> list[SourcedPrice]:
        """What each source says, the freshest first; of those that are equally fresh, the offer's own last."""
        found = [
            price
            for reading, quotes in zip(self._readings, self._quotes, strict=True)
            if (price := _quoted(pool, quotes.get((_Machine.of(pool), market), {}), reading)) is not None
        ]
        return sorted([*found, *([own] if own else [])], key=lambda price: price.freshness, reverse=True)

    def _winner(self, pool: Pool, market: Market, said: list[SourcedPrice], now: datetime) -> SourcedPrice | None:
        ours = team_price(self._team, pool, market, now)
        usd = None if ours is None else ours.usd(said[0].usd_per_hour if said else None)
        if ours is not None and usd is not None:
            return SourcedPrice(usd, ours.text(), ours.start, now)
        return said[0] if said else None

    def _capacity(self, pool: Pool) -> SourcedCapacity | None:
        """The newest signal; of those of one moment the highest: that is where one would go."""
        found = [each for each in self._signals.get(_Machine.of(pool), []) if _is_about(each.signal.pool, pool)]
        return max(found, key=lambda each: (each.signal.at, each.signal.value), default=None)

    def _said_of_preemptions(self, pool: Pool) -> tuple[SourcedWitness, ...]:
        return tuple(each for each in self._witnesses.get(_Machine.of(pool), []) if _is_about(each.witness.pool, pool))


def _quoted(pool: Pool, zones: dict[str, Quote], reading: Reading) -> SourcedPrice | None:
    """A zone's own price, else that of its region; of a whole region the cheapest zone's, which is tried first."""
    quote = zones.get(pool.zone) or zones.get("")
    where = ""
    if quote is None and not pool.zone and zones:
        quote = min(zones.values(), key=lambda each: (each.usd_per_hour, each.pool.zone))
        where = f", {quote.pool.zone}, the cheapest of {len(zones)} zones" if len(zones) > 1 else f", {quote.pool.zone}"
    if quote is None:
        return None
    return SourcedPrice(quote.usd_per_hour, f"{reading.source}{where}", quote.at, reading.read_at)


def _is_about(said_of: Pool, pool: Pool) -> bool:
    """A statement about a region is one about its zones, and the zones' are all that a whole region's offer has."""
    return said_of.zone in ("", pool.zone) or not pool.zone


def _far_apart(one: Decimal, other: Decimal) -> bool:
    return max(one, other) > FAR_APART * min(one, other)


def quoted_offers(book: PriceBook, machines: Iterable[Offer]) -> list[Offer]:
    """An offer for every quote, freshest reading first where several quote one. ``machines`` say what is in them."""
    parts: dict[tuple[str, str, str], Offer] = {}
    for known in machines:
        parts.setdefault((known.pool.cloud, known.pool.instance_type, known.pool.accelerators), known)
    found: dict[tuple[Pool, Market], Offer] = {}
    for quote, reading in sorted(book.quotes(), key=lambda pair: pair[1].read_at, reverse=True):
        pool = quote.pool
        machine = parts.get((pool.cloud, pool.instance_type, pool.accelerators))
        found.setdefault(
            (pool, quote.market),
            Offer(
                pool=pool,
                market=quote.market,
                price_usd_per_hour=quote.usd_per_hour,
                on_demand_usd_per_hour=quote.usd_per_hour if quote.market is Market.ON_DEMAND else None,
                accelerator=machine.accelerator if machine else None,
                accelerator_count=machine.accelerator_count if machine else 0,
                vcpus=machine.vcpus if machine else 0.0,
                memory_gib=machine.memory_gib if machine else 0.0,
                source=reading.source,
                read_at=reading.read_at,
            ),
        )
    return list(found.values())
