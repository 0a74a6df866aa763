"""The sources that the settings name, and offers priced by them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from spotwise.cost_models.joined_prices import JoinedOffer, PriceBook
from spotwise.cost_models.offer import Offer
from spotwise.cost_models.sources.base import Machine, Reading, Source, SourceQuery
from spotwise.cost_models.sources.sheet import SheetSource, load_sheet, machines_of, offer_quotes
from spotwise.cost_models.sources.team import TeamPriceSource
from spotwise.cost_models.team_prices import TeamPrice

from ..core.clock import Clock
from ..core.errors import InputError, SpotwiseError
from ..engines.base import Engine
from ..jobfile.price_file import load_team_prices
from ..jobfile.source_settings import AwsSourceSettings, Enabled, GcpSourceSettings, SourceSettings
from .price_sources import AskedSource, PriceSources, SourceAnswer
from .reading_cache import ReadingCache

PATIENCE_S = 20.0  # how long a person who asks for prices waits at most
PLAN_PATIENCE_S = 10.0
MOST_MACHINES = 40  # that sources are asked about for one plan: clouds count calls
# What says whose account the clients ask with: what one account was told holds for no other.
_AWS_ACCOUNT = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_ROLE_ARN",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
)
_GCP_ACCOUNT = ("GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "GOOGLE_CLOUD_PROJECT")
_CLIENTS = {"aws": "boto3", "gcp": "google.cloud.compute_v1"}


@dataclass(frozen=True)
class EnabledSources:
    """Who is asked, where, and what the team pays by itself."""

    asked: PriceSources
    team_prices: tuple[TeamPrice, ...] = ()
    regions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by cloud: only these, as the settings say

    def ask(
        self,
        machines: Sequence[Machine],
        regions: Mapping[str, tuple[str, ...]],
        *,
        size: int = 1,
        limit_s: float = PATIENCE_S,
        refresh: bool = False,
    ) -> tuple[SourceAnswer, ...]:
        """What each source says of these machines. ``regions``, by cloud, go before the settings' own."""
        where = {**self.regions, **regions}
        return self.asked.ask(SourceQuery(tuple(machines), where, size, limit_s), refresh=refresh)

    def book(self, answers: Iterable[SourceAnswer]) -> PriceBook:
        """What was said, ready to be looked up. The team's own prices are looked up by themselves."""
        readings = [answer.reading for answer in answers if answer.name != TeamPriceSource.name]
        return PriceBook(readings, self.team_prices)


class EngineCatalog:
    """An engine's own offers as a source."""

    def __init__(self, name: str, engine: Callable[[], Engine]) -> None:
        self.name = name
        self._engine = engine

    def read(self, query: SourceQuery, now: datetime) -> Reading:
        """List prices, as old as the engine's catalog."""
        title = f"catalog of the engine {self.name}"
        try:
            quotes = tuple(offer_quotes(self._engine().offers(), query))
        except SpotwiseError as error:
            return Reading(title, now, skipped=(str(error),))
        return Reading(title, max((quote.at for quote in quotes), default=now), quotes)


def enabled_sources(settings: SourceSettings, home: Path, clock: Clock) -> EnabledSources | None:
    """The sources that the settings name; None where they name none.

    Raises:
        JobFileError: faults of the team's price file.
    """
    asked = [
        _cloud(part)
        for name, part in (("aws", settings.aws), ("gcp", settings.gcp))
        if part is not None and _is_enabled(name, part.enabled)
    ]
    team = () if settings.prices is None else load_team_prices(settings.prices)
    if team:
        asked.append(AskedSource(TeamPriceSource(team, load_sheet()), is_kept=False))
    if not asked:
        return None
    return EnabledSources(PriceSources(asked, _cache(home), clock), team, _regions(settings))


def one_source(
    name: str, settings: SourceSettings, home: Path, clock: Clock, engine: Callable[[], Engine]
) -> EnabledSources:
    """One source by name, also where the settings do not name it. ``engine`` is called for ``skypilot`` only.

    Raises:
        InputError: the settings say that it is not to be asked, or do not say where it is.
        JobFileError: faults of the team's price file.
    """
    team: tuple[TeamPrice, ...] = ()
    if name in _CLIENTS:
        part = settings.aws if name == "aws" else settings.gcp
        if part is not None and part.enabled is False:
            raise InputError(f"sources.{name}.enabled is false in the settings; set it to auto to ask {name}")
        asked = _cloud(part or (AwsSourceSettings() if name == "aws" else GcpSourceSettings()))
    elif name == TeamPriceSource.name:
        if settings.prices is None:
            raise InputError("sources.prices is not set: name the team's price file in the settings")
        team = load_team_prices(settings.prices)
        asked = AskedSource(TeamPriceSource(team, load_sheet()), is_kept=False)
    else:
        source: Source = SheetSource() if name == SheetSource.name else EngineCatalog(name, engine)
        asked = AskedSource(source, is_kept=False)
    return EnabledSources(PriceSources([asked], _cache(home), clock), team, _regions(settings))


def machines_to_ask(offers: Iterable[Offer]) -> tuple[Machine, ...]:
    """The machines of these offers, the cheapest first and not too many of them."""
    by_price = sorted(offers, key=lambda offer: (offer.price_usd_per_hour, offer.key))
    return machines_of(by_price)[:MOST_MACHINES]


def regions_of(offers: Iterable[Offer]) -> dict[str, tuple[str, ...]]:
    """Where these offers are, by cloud."""
    found: dict[str, dict[str, None]] = {}
    for offer in offers:
        found.setdefault(offer.pool.cloud, {})[offer.pool.region] = None
    return {cloud: tuple(sorted(regions)) for cloud, regions in found.items()}


def joined_offers(
    sources: EnabledSources, offers: Sequence[Offer], asked_for: Sequence[Offer], nodes: int, now: datetime
) -> tuple[list[JoinedOffer], tuple[SourceAnswer, ...]]:
    """Offers at the prices that win, and what sources said. Only ``asked_for`` are asked about: clouds count calls."""
    answers = sources.ask(machines_to_ask(asked_for), regions_of(asked_for), size=nodes, limit_s=PLAN_PATIENCE_S)
    return sources.book(answers).joined(offers, now), answers


def _is_enabled(name: str, enabled: Enabled) -> bool:
    return bool(enabled) if enabled != "auto" else _is_installed(_CLIENTS[name])


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def _cloud(part: AwsSourceSettings | GcpSourceSettings) -> AskedSource:
    """Clients are imported where they are asked for, and nowhere else."""
    endpoint = part.endpoint or ""
    if isinstance(part, AwsSourceSettings):
        from spotwise.cost_models.sources.aws import AwsSource

        pointed_to = " ".join([endpoint, *_set(_AWS_ACCOUNT)])
        return AskedSource(AwsSource(regions=part.regions, endpoint=part.endpoint), pointed_to)
    from spotwise.cost_models.sources.gcp import GcpSource

    project = part.project or ""
    pointed_to = " ".join([project, endpoint, *_set(_GCP_ACCOUNT)])
    return AskedSource(GcpSource(project=project, regions=part.regions, endpoint=endpoint), pointed_to)


def _set(variables: Iterable[str]) -> Iterator[str]:
    return (f"{name}={os.environ[name]}" for name in variables if os.environ.get(name))


def _regions(settings: SourceSettings) -> dict[str, tuple[str, ...]]:
    found = {"aws": settings.aws, "gcp": settings.gcp}
    return {cloud: part.regions for cloud, part in found.items() if part is not None and part.regions}


def _cache(home: Path) -> ReadingCache:
    return ReadingCache(home / "readings")
