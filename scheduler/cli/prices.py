"""Offers with what is believed and said of them: `spotwise prices`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from spotwise.cost_models.hazard import HazardBelief, published_belief
from spotwise.cost_models.joined_prices import JoinedOffer, PriceBook, quoted_offers
from spotwise.cost_models.offer import Offer
from spotwise.cost_models.selection import reject_reason
from spotwise.cost_models.sources.base import Machine
from spotwise.cost_models.sources.sheet import load_sheet, machines_of

from ..core.run import CostBasis
from ..execution.context import App
from ..planning.enabled_sources import EnabledSources, one_source
from ..planning.market_snapshot import MarketSnapshot, gather
from ..planning.past_attempts import read_past_attempts
from ..planning.price_sources import SourceAnswer


@dataclass(frozen=True, slots=True)
class PricedOffer:
    """An offer and what is believed about its preemptions."""

    joined: JoinedOffer
    belief: HazardBelief | None  # None: on demand
    available: bool | None = None

    @property
    def offer(self) -> Offer:
        return self.joined.offer


@dataclass(frozen=True, slots=True)
class PriceQuestion:
    """What a person asks for."""

    accelerators: str | None = None  # "T4:1"
    regions: tuple[str, ...] = ()  # none: all
    source: str | None = None  # only this one
    sheet: bool = False  # the shipped sheet, whatever the engine offers
    refresh: bool = False

    def fits(self, offer: Offer) -> bool:
        """Whether an offer is asked for."""
        wanted = {"accelerators": self.accelerators} if self.accelerators else None
        return reject_reason(offer, wanted) is None and (not self.regions or offer.pool.region in self.regions)

    def regions_by_cloud(self, known: Iterable[Offer]) -> Mapping[str, tuple[str, ...]]:
        """Each cloud's own of the regions; one that no cloud is known to have is asked of all: they say so."""
        where: dict[str, set[str]] = {}
        for offer in known:
            where.setdefault(offer.pool.cloud, set()).add(offer.pool.region)
        somewhere = set().union(*where.values())
        asked = {
            cloud: tuple(region for region in self.regions if region in there or region not in somewhere)
            for cloud, there in where.items()
        }
        return {cloud: regions for cloud, regions in asked.items() if regions}


@dataclass(frozen=True, slots=True)
class FoundPrices:
    """Offers, the cheapest first, and what each source had to say."""

    offers: tuple[PricedOffer, ...]
    now: datetime
    answers: tuple[SourceAnswer, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def are_sourced(self) -> bool:
        """Whether any source was to be asked: there is more to be shown then."""
        return bool(self.answers)


def found_prices(app: App, asked: PriceQuestion) -> FoundPrices:
    """All that fits the question.

    Raises:
        InputError: the source cannot be asked.
        JobFileError: faults of the team's price file.
    """
    now = app.clock.now()
    if asked.source is not None:
        return _of_one_source(app, asked.source, asked, now)
    if asked.sheet:
        return FoundPrices(_priced(PriceBook(()).joined(_fitting(load_sheet(), asked), now)), now)
    known, sources = _known(app, now), app.sources()
    offers = _fitting(known.offers, asked)
    if sources is None:
        return FoundPrices(_priced(PriceBook(()).joined(offers, now), known), now)
    if known.cost_basis is CostBasis.EMULATED:
        note = "an emulated market is priced by its file: sources are asked with --source, or by the engine skypilot"
        return FoundPrices(_priced(PriceBook(()).joined(offers, now), known), now, notes=(note,))
    return _joined(sources, offers, known, asked, now)


def _joined(
    sources: EnabledSources, offers: Sequence[Offer], known: MarketSnapshot, asked: PriceQuestion, now: datetime
) -> FoundPrices:
    """The engine's offers, and zones that sources quote beside them, each at the price that wins."""
    sheet = _fitting(load_sheet(), asked)
    listed = [*offers, *(offer for offer in sheet if offer.pool.cloud in sources.asked.names)]
    answers = _ask(sources, machines_of(listed), [*known.offers, *load_sheet()], asked)
    book = sources.book(answers)
    there = {(offer.pool, offer.market) for offer in listed}
    more = [offer for offer in quoted_offers(book, listed) if (offer.pool, offer.market) not in there]
    return FoundPrices(_priced(book.joined([*listed, *_fitting(more, asked)], now), known), now, answers)


def _of_one_source(app: App, name: str, asked: PriceQuestion, now: datetime) -> FoundPrices:
    """What one source says, alone. Only for ``skypilot`` is the engine needed."""
    sources = one_source(name, app.settings.sources, app.home, app.clock, lambda: app.engine("skypilot"))
    catalog = app.engine("skypilot").offers() if name == "skypilot" else load_sheet()
    listed = _fitting(catalog, PriceQuestion(asked.accelerators))
    answers = _ask(sources, machines_of(listed), catalog, asked)
    quoted = quoted_offers(PriceBook(answer.reading for answer in answers), listed)
    if sources.team_prices:  # at list prices, so that the price file's own words stand in the row
        ours = {(offer.pool, offer.market) for offer in quoted}
        quoted = [offer for offer in listed if (offer.pool, offer.market) in ours]
    return FoundPrices(_priced(sources.book(answers).joined(_fitting(quoted, asked), now)), now, answers)


def _ask(
    sources: EnabledSources, machines: Sequence[Machine], known: Iterable[Offer], asked: PriceQuestion
) -> tuple[SourceAnswer, ...]:
    return sources.ask(machines, asked.regions_by_cloud(known), refresh=asked.refresh)


def _known(app: App, now: datetime) -> MarketSnapshot:
    engine, cooldown = app.engine(app.settings.engine), app.settings.cooldown_hours
    past = read_past_attempts(app.store, engine.hour_s, now, cooldown)
    return gather(engine, past, app.settings.overheads, now, cooldown_hours=cooldown)


def _fitting(offers: Iterable[Offer], asked: PriceQuestion) -> list[Offer]:
    return [offer for offer in offers if asked.fits(offer)]


def _priced(found: Iterable[JoinedOffer], known: MarketSnapshot | None = None) -> tuple[PricedOffer, ...]:
    """The cheapest first."""
    belief: Callable[[Offer], HazardBelief] = lambda offer: published_belief(offer.pool)  # noqa: E731
    beliefs = {} if known is None else known.beliefs
    available = {} if known is None else known.available
    priced = [
        PricedOffer(
            each,
            (beliefs.get(each.offer.pool) or belief(each.offer)) if each.offer.is_spot else None,
            available.get(each.offer.key),
        )
        for each in found
    ]
    return tuple(sorted(priced, key=lambda each: (each.offer.price_usd_per_hour, each.offer.key)))
