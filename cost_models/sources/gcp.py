"""Google Cloud's own word: spot capacity and preemptions from its advice service, prices from its billing catalog."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..offer import Market
from .base import Machine, Quote, Reading, Row, SourceQuery
from .concurrent_calls import Answers, Question, TimeLimit, ask_within
from .gcp_advice import capacity_question, capacity_rows, history_question, history_rows
from .gcp_calls import CallFailedError, CallFailure, pages, short
from .gcp_connection import Advice, Adviser, Connection, NoAccessError, connect
from .gcp_machines import (
    ACCELERATOR_TYPES,
    CLOUD,
    NAME,
    MachineInRegion,
    attaches_gpus,
    is_custom,
    is_tpu,
    sheet_places,
    sheet_regions,
    told_places,
    type_filter,
)
from .gcp_prices import COMPUTE_ENGINE, Article, Rate, collect, quotes

_FOR_CALLS, _FOR_THREADS = 0.8, 0.9  # of the limit; the rest is for what has been answered by then
_PAGE = 5000  # SKUs; the service's most
_AGREE_WITHIN = 2


class GcpSource:
    """Google Cloud through google-cloud-compute and google-cloud-billing."""

    name = CLOUD

    def __init__(self, project: str = "", regions: Sequence[str] = (), endpoint: str = "") -> None:
        """Where to ask.

        Args:
            project: id of the project that asks; default: that of the credentials. Prices need none.
            regions: where a query names none; default: those of the shipped price sheet.
            endpoint: URL that all requests go to; without credentials they are then anonymous. Default: Google's.
        """
        self._project = project
        self._regions = tuple(regions)
        self._endpoint = endpoint

    def read(self, query: SourceQuery, now: datetime) -> Reading:
        """Ask for all of ``query``. Never raises for what the outside does; ends within ``query.limit_s``."""
        now = now.astimezone(UTC)
        asked = _Asked(self._project, self._endpoint, query, now)
        regions = query.regions.get(CLOUD) or self._regions or sheet_regions(asked.machines)
        whole = TimeLimit(query.limit_s)
        if asked.machines and not ask_within([partial(asked.ask, regions)], whole, at_once=1):
            asked.answers.skip("Google Cloud", f"not all was answered within {query.limit_s:g} s")
        return Reading(asked.source(), now, asked.rows(), asked.answers.skipped())


class _Asked:
    """One reading while it is made."""

    def __init__(self, project: str, endpoint: str, query: SourceQuery, now: datetime) -> None:
        self.answers = Answers()
        self.machines = tuple(dict.fromkeys(machine for machine in query.machines if machine.cloud == CLOUD))
        self._project, self._endpoint, self._now = project, endpoint, now
        self._size = max(1, query.size)
        self._deadline, self._end = (TimeLimit(query.limit_s * share) for share in (_FOR_CALLS, _FOR_THREADS))
        self._adviser: Adviser | None = None
        self._listed: tuple[Quote, ...] = ()  # from the billing catalog

    def ask(self, regions: Iterable[str]) -> None:
        """Ask everything. What was answered by the end of the time is kept, whoever else is late."""
        try:
            connection = connect(self._project, self._endpoint)
        except NoAccessError as error:
            self.answers.skip("Google Cloud", str(error))
            return
        known = tuple(sheet_places(tuple(self._sold()), tuple(self._named(regions))))
        if not known:
            return
        places = self._told(connection, known)
        self._adviser = Adviser(connection, self._deadline)
        prices = partial(self._ask_prices, connection, places)
        if not ask_within([prices, *self._advice(connection, self._adviser, places)], self._end):
            self.answers.skip("Google Cloud", "some questions were not answered in time")

    def source(self) -> str:
        """Who answered, for people: "Google Cloud (capacity beta, capacityHistory v1, billing catalog)"."""
        by = self._adviser.answered_by() if self._adviser else {}
        said = [f"{question.value} {version}" for question, version in sorted(by.items())]
        said += ["billing catalog"] if self._listed else []
        return f"Google Cloud ({', '.join(said)})" if said else "Google Cloud"

    def rows(self) -> tuple[Row, ...]:
        """What was answered. A price that advice tells of a whole machine stands before the sum of its parts."""
        rows = tuple(dict.fromkeys(self.answers.rows()))
        told = {(row.pool, row.market): row for row in rows if isinstance(row, Quote)}
        for quote in self._listed:
            other = told.get((quote.pool, quote.market))
            if other is not None and not _agree(quote, other):
                words = f"the catalog's parts add up to {quote.usd_per_hour}, its history says {other.usd_per_hour}"
                self.answers.skip(f"spot price of {quote.pool} from the catalog", words)
        return (*rows, *(quote for quote in self._listed if (quote.pool, quote.market) not in told))

    def _sold(self) -> Iterator[Machine]:
        for machine in self.machines:
            if is_tpu(machine) or not NAME.fullmatch(machine.instance_type):
                self.answers.skip(machine.instance_type, "this is no machine type of Compute Engine")
            else:
                yield machine

    def _named(self, regions: Iterable[str]) -> Iterator[str]:
        for region in dict.fromkeys(regions):
            if NAME.fullmatch(region):
                yield region
            else:
                self.answers.skip(f"region {short(region)}", "no region has such a name")

    def _told(self, connection: Connection, known: tuple[MachineInRegion, ...]) -> tuple[MachineInRegion, ...]:
        """Zones and sizes as the cloud says; where it does not, as the shipped sheet does."""
        if not connection.project:
            return known
        types = self._types(connection, connection.machine_types, {place.machine.instance_type for place in known})
        if types is None:
            return known
        attached = {ACCELERATOR_TYPES.get(p.machine.accelerator or "", "") for p in known if attaches_gpus(p.machine)}
        gpus = self._types(connection, connection.accelerator_types, attached - {""}) if attached - {""} else None
        return tuple(told_places(known, types, gpus))

    def _types(self, connection: Connection, client: Any, names: set[str]) -> list[Any] | None:
        def page(token: str, timeout_s: float) -> Any:
            request = {
                "project": connection.project,
                "filter": type_filter(names),
                "page_token": token,
            }
            return client.aggregated_list(request, timeout=timeout_s, retry=None)

        try:
            return list(pages(page, self._deadline))
        except CallFailedError as failed:
            self.answers.skip("zones and sizes of machines", f"{failed}; the shipped price sheet's are used")
            return None

    def _advice(
        self, connection: Connection, adviser: Adviser, places: Iterable[MachineInRegion]
    ) -> Iterator[Question]:
        if not connection.project:
            self.answers.skip("capacity and preemptions", "no project is named: set sources.gcp.project")
            return
        for place in places:
            machine = place.machine
            if is_custom(machine):
                self.answers.skip(f"capacity and preemptions of {machine.instance_type}", "custom types have none")
                continue
            for zone in place.zones or ("",):
                yield partial(self._ask_capacity, adviser, place, zone)
                if not attaches_gpus(machine):
                    yield partial(self._ask_history, adviser, place, zone)
            if attaches_gpus(machine):
                self.answers.skip(f"preemptions of {_words(place)}", "Google tells none of N1 with GPUs")

    def _ask_capacity(self, adviser: Adviser, place: MachineInRegion, zone: str) -> None:
        body = partial(capacity_question, place, zone, self._size)
        what, where = f"capacity of {_words(place)}", zone or place.region
        try:
            answer = adviser.ask(Advice.CAPACITY, place.region, body)
        except CallFailedError as failed:
            self._failed(failed, "capacity", what, where)
            return
        self._keep(capacity_rows(answer, place, zone, self._size, self._now), what, where)

    def _ask_history(self, adviser: Adviser, place: MachineInRegion, zone: str) -> None:
        what, where = f"preemptions and spot prices of {_words(place)}", zone or place.region
        try:
            answer = adviser.ask(Advice.HISTORY, place.region, partial(history_question, place, zone))
        except CallFailedError as failed:
            self._failed(failed, "preemptions and spot prices", what, where)
            return
        self._keep(history_rows(answer, place, zone, self._now), what, where)

    def _failed(self, failed: CallFailedError, kind: str, what: str, where: str) -> None:
        """What holds for all questions of a kind is told once."""
        if failed.kind is CallFailure.DENIED:
            self.answers.skip(kind, str(failed))
        else:
            self.answers.skip(what, str(failed), where)

    def _keep(self, rows: Iterable[Row], what: str, where: str) -> None:
        kept = tuple(rows)
        self.answers.add(kept)
        if not kept:
            self.answers.skip(what, "the answer holds no number", where)

    def _ask_prices(self, connection: Connection, places: Sequence[MachineInRegion]) -> None:
        def page(token: str, timeout_s: float) -> Any:
            request = {"parent": COMPUTE_ENGINE, "currency_code": "USD", "page_size": _PAGE, "page_token": token}
            return connection.catalog.list_skus(request, timeout=timeout_s, retry=None)

        rates: dict[Article, frozenset[Rate]] = {}
        regions = frozenset(place.region for place in places)
        because = "the catalog has no single price for each of its parts there"
        try:
            for answer in pages(page, self._deadline):
                collect(type(answer).pb(answer).skus, regions, rates)
        except CallFailedError as failed:
            because = f"the catalog: {failed}"  # what its pages before this one priced is right all the same
        found = [(place, tuple(quotes(place, rates, self._now))) for place in places]
        self._listed = tuple(quote for _, several in found for quote in several)
        for place, several in found:
            for market in {*Market} - {quote.market for quote in several}:
                self.answers.skip(f"{market.value} price of {_words(place)}", because, place.region)


def _words(place: MachineInRegion) -> str:
    pool = place.pool("")
    return f"{pool.instance_type}{f' with {pool.accelerators}' if pool.accelerators else ''}"


def _agree(one: Quote, other: Quote) -> bool:
    low, high = sorted((one.usd_per_hour, other.usd_per_hour))
    return high <= _AGREE_WITHIN * low
