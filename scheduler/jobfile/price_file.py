"""A team's own price file: negotiated rates, reservations, savings plans and committed use, with their dates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, ValidationError, model_validator

from spotwise.cost_models.offer import Market
from spotwise.cost_models.team_prices import Agreement, TeamPrice

from ..core.errors import JobFileError
from . import quantities
from .quantities import shown
from .schema import Part, Word, example
from .validation_errors import Fault, FaultyError, dotted, faults_of
from .validation_errors import Path as KeyPath
from .yaml_reader import Scalars, parse_yaml, read_text

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PERCENT = re.compile(r"(\d{1,2}(?:\.\d{1,4})?)\s*%")
_ACCELERATORS = re.compile(r"[^\s:]+:[1-9][0-9]*")
_ACCELERATORS_OPEN = re.compile(r"n1-.*|TPU-VM")  # of Google's: GPUs and TPUs are named apart from the machine
_FIRST_YEAR, _LAST_YEAR = 2000, 2199


def _price(value: object) -> Decimal:
    found = quantities.parse_money(value)
    if not found:
        raise ValueError(f"found {shown(value)}; allowed: more than 0 USD an hour: what is paid is never nothing")
    return found


def _discount(value: object) -> Decimal:
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    share = Decimal(match[1]) / 100 if match else Decimal(0)
    if not share:
        raise ValueError(
            f"found {shown(value)}; allowed: a share of the list price such as 28%, above 0% and below 100%"
        )
    return share


def _day(value: object) -> date:
    try:
        found = date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None
    except ValueError:
        found = None
    if found is None or not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise ValueError(
            f"found {shown(value)}; allowed: a day such as 2026-01-31 (UTC), {_FIRST_YEAR} to {_LAST_YEAR}"
        )
    return found


def _lower(text: str) -> str:
    if text != text.lower():
        raise ValueError(f"found {shown(text)}; allowed: a cloud as offers name it; did you mean {text.lower()}")
    return text


def _accelerators(text: str) -> str:
    if not _ACCELERATORS.fullmatch(text):
        raise ValueError(f"found {shown(text)}; allowed: a name and a whole number, such as T4:1")
    return text


DayField = Annotated[date, PlainValidator(_day), example("string", "2026-01-31")]


class TeamPriceSpec(Part):
    """One price or discount, for the machines that its keys name."""

    cloud: Annotated[Word, AfterValidator(_lower)] = Field(description="As offers name it, such as aws or gcp.")
    instance_type: Word | None = Field(default=None, description="Only this type, such as g5.xlarge.")
    family: Word | None = Field(default=None, description="All types of a family, such as g5 or a2.")
    region: Word | None = Field(default=None, description="Only there; default: everywhere.")
    accelerators: Annotated[Word, AfterValidator(_accelerators)] | None = Field(
        default=None, description="Which, where the instance type leaves them open, as GCP's n1 does."
    )
    market: Market = Field(default=Market.ON_DEMAND, description="on_demand or spot.")
    agreement: Agreement = Field(
        default=Agreement.NEGOTIATED, description="negotiated, reservation, savings_plan or committed_use."
    )
    price_usd_per_hour: Annotated[Decimal, PlainValidator(_price), example(["string", "number"], "0.72 USD")] | None = (
        Field(default=None, description="What one node costs.")
    )
    discount: Annotated[Decimal, PlainValidator(_discount), example("string", "28%")] | None = Field(
        default=None, description="What is off the list price."
    )
    valid_from: DayField | None = Field(default=None, alias="from", description="The first day (UTC) that it holds.")
    valid_to: DayField | None = Field(default=None, alias="to", description="The last day (UTC) that it holds.")
    name: Word | None = Field(default=None, description="What people call it.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        faults = list(self._faults())
        if faults:
            raise FaultyError(faults)
        return self

    def _faults(self) -> Iterator[Fault]:
        given = (self.price_usd_per_hour is not None) + (self.discount is not None)
        if given != 1:
            found = "missing; required" if not given else "found price_usd_per_hour and discount; allowed"
            yield Fault(("price_usd_per_hour",), f"{found}: one of price_usd_per_hour and discount")
        if self.instance_type and self.family:
            yield Fault(("family",), "found instance_type and family; allowed: one of them")
        if self.price_usd_per_hour is not None and not self.instance_type:
            yield Fault(("instance_type",), "missing; required: the type that costs so much, or give a discount")
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            yield Fault(("to",), f"found {self.valid_to}, before from; allowed: {self.valid_from} or later")
        is_open = self.cloud == "gcp" and _ACCELERATORS_OPEN.fullmatch(self.instance_type or "")
        if is_open and self.price_usd_per_hour is not None and self.accelerators is None:
            yield Fault(("accelerators",), f"missing; required: {self.instance_type} is sold with several")
        if self.accelerators and not is_open:
            allowed = "leave it out: the instance type says which it has"
            yield Fault(("accelerators",), f"found {shown(self.accelerators)}; allowed: {allowed}")

    def value(self, where: str) -> TeamPrice:
        """``where``: file and line."""
        return TeamPrice(
            cloud=self.cloud,
            agreement=self.agreement,
            market=self.market,
            usd_per_hour=self.price_usd_per_hour,
            discount=self.discount,
            instance_type=self.instance_type or "",
            family=self.family or "",
            region=self.region or "",
            accelerators=self.accelerators or "",
            start=None if self.valid_from is None else _midnight(self.valid_from),
            end=None if self.valid_to is None else _midnight(self.valid_to + timedelta(days=1)),
            name=self.name or "",
            where=where,
        )


class TeamPricesFile(Part):
    """The whole file."""

    prices: tuple[TeamPriceSpec, ...] = Field(description="The team's own prices, one or more.")


def load_team_prices(path: Path) -> tuple[TeamPrice, ...]:
    """Read a price file.

    Raises:
        JobFileError: it cannot be read or has faults; all of them, one a line.
    """
    read = parse_yaml(read_text(path), source=str(path), scalars=lambda _key: Scalars.PLAIN)
    try:
        file = TeamPricesFile.model_validate(read.data)
    except ValidationError as error:
        schema = TeamPricesFile.model_json_schema()
        raise JobFileError(read.all_faults(faults_of(error, schema, "docs/prices.md"))) from None
    found = tuple(spec.value(f"{path.name}:{read.lines[_entry(i)]}") for i, spec in enumerate(file.prices))
    nothing = [Fault(("prices",), "found an empty list; allowed: one price or more")] if not found else []
    faults = [*nothing, *_said_twice(found, read.lines)]
    if faults or read.faults or read.empty:
        raise JobFileError(read.all_faults(faults))
    return found


def _said_twice(prices: tuple[TeamPrice, ...], lines: Mapping[KeyPath, int]) -> Iterator[Fault]:
    """Two prices of the same machines in the same days: nobody could say which is meant."""
    for index, price in enumerate(prices):
        for before, other in enumerate(prices[:index]):
            if _about(price) == _about(other) and _overlap(price, other):
                where = f"{dotted(_entry(before))} on line {lines[_entry(before)]}"
                yield Fault(_entry(index), f"found the same machines and days as {where}; allowed: one price a day")


def _about(price: TeamPrice) -> tuple[object, ...]:
    return price.cloud, price.market, price.instance_type, price.family, price.region, price.accelerators


def _overlap(one: TeamPrice, other: TeamPrice) -> bool:
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    return (one.start or first) < (other.end or last) and (other.start or first) < (one.end or last)


def _entry(index: int) -> KeyPath:
    return "prices", f"[{index}]"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
