"""Emulated markets as YAML files; see ``configs/markets/demo.yaml`` for one with every key explained."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from spotwise.cost_models.offer import Pool

from ...core.errors import JobFileError
from ...jobfile.validation_errors import Fault, faults_of
from ...jobfile.yaml_reader import Scalars, parse_yaml, read_text
from .market import EmulatedMarket, MarketPool, Outage, Weibull


def _matches(pattern: str, allowed: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"found {text!r}; allowed: {allowed}")
        return text

    return check


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Price = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Word = Annotated[str, AfterValidator(_matches(r"[^\s/]+", "a word without spaces and slashes"))]
FileName = Annotated[str, AfterValidator(_matches(r"[a-z0-9][a-z0-9-]*", "lower-case letters, digits and dashes"))]
Accelerators = Annotated[str, AfterValidator(_matches(r"[^:\s]+:[1-9]\d*", "a name and a count such as T4:1"))]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _WeibullSpec(_Part):
    shape: Positive = Field(description="above 1: the old die first; 1: a constant rate")
    scale_hours: Positive = Field(description="market hours that 63 % do not outlive")

    def value(self) -> Weibull:
        return Weibull(self.shape, self.scale_hours)


class _OutageSpec(_Part):
    every_hours: _WeibullSpec = Field(description="market hours from one spell without capacity to the next")
    length_hours: _WeibullSpec = Field(description="market hours that such a spell lasts")

    def value(self) -> Outage:
        return Outage(self.every_hours.value(), self.length_hours.value())


class _PoolSpec(_Part):
    cloud: Word = Field(description="such as aws")
    region: Word = Field(description="such as us-east-1")
    zone: str = Field("", description="empty where the cloud has no zones")
    instance_type: Word = Field(description="such as g4dn.xlarge")
    accelerators: Accelerators = Field(description="a name and a count such as T4:1")
    vcpus: Positive = Field(description="virtual processors")
    memory_gib: Positive = Field(description="memory in GiB")
    spot_usd_per_hour: Price = Field(description="USD per market hour")
    on_demand_usd_per_hour: Price = Field(description="USD per market hour")
    published_hazard_per_hour: Positive = Field(description="preemptions per market hour, as the market states them")
    provision_hours: NotNegative | None = Field(None, description="market hours until a machine is up")
    lifetime: _WeibullSpec = Field(description="how long spot machines live")
    outage: _OutageSpec | None = Field(None, description="spells without spot capacity")

    @property
    def key(self) -> Pool:
        return Pool(self.cloud, self.region, self.zone, self.instance_type)

    def value(self, provision_hours: float) -> MarketPool:
        accelerator, _, count = self.accelerators.partition(":")
        return MarketPool(
            pool=self.key,
            accelerator=accelerator,
            accelerator_count=int(count),
            vcpus=self.vcpus,
            memory_gib=self.memory_gib,
            spot_usd_per_hour=self.spot_usd_per_hour,
            on_demand_usd_per_hour=self.on_demand_usd_per_hour,
            published_hazard_per_hour=self.published_hazard_per_hour,
            provision_hours=provision_hours if self.provision_hours is None else self.provision_hours,
            lifetime=self.lifetime.value(),
            outage=self.outage.value() if self.outage else None,
        )


class _MarketFile(_Part):
    name: FileName = Field(description="lower-case letters, digits and dashes")
    seed: int = Field(description="another seed, another history")
    hour_s: Price = Field(description="wall-clock seconds of one market hour")
    grace_s: NotNegative = Field(description="wall-clock seconds from a preemption notice to the kill")
    provision_hours: NotNegative = Field(description="market hours until a machine is up")
    source: str = Field("", description="where the prices come from, with their date")
    pools: tuple[_PoolSpec, ...] = Field(description="what can be bought")

    def value(self) -> EmulatedMarket:
        pools = tuple(pool.value(self.provision_hours) for pool in self.pools)
        return EmulatedMarket(self.name, self.seed, self.hour_s, self.grace_s, pools, self.source)


def load_market(path: Path) -> EmulatedMarket:
    """Read a market file.

    Raises:
        JobFileError: it cannot be read or has faults; all of them, one a line.
    """
    read = parse_yaml(read_text(path), source=str(path), scalars=lambda _key: Scalars.PLAIN)
    file: _MarketFile | None = None
    try:
        file = _MarketFile.model_validate(read.data)
        faults = list(_faults_of_pools(file))
    except ValidationError as error:
        faults = list(faults_of(error, _MarketFile.model_json_schema()))
    if file is None or faults or read.faults or read.empty:
        raise JobFileError(read.all_faults(faults))
    return file.value()


def _faults_of_pools(file: _MarketFile) -> Iterator[Fault]:
    if not file.pools:
        yield Fault(("pools",), "found an empty list; allowed: one pool or more")
    first: dict[Pool, int] = {}
    for index, pool in enumerate(file.pools):
        if pool.key in first:
            found = f"found the pool {pool.key} again; allowed: once, as in pools[{first[pool.key]}]"
            yield Fault(("pools", f"[{index}]"), found)
        first.setdefault(pool.key, index)
