"""A team's own prices: negotiated rates, reservations, savings plans, committed use. They win over every list price."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from .offer import Market, Pool

_FINEST = Decimal("1E-8")  # USD an hour: a discount of a list price is rounded to this


class Agreement(StrEnum):
    """What a price of one's own rests on."""

    NEGOTIATED = "negotiated"
    RESERVATION = "reservation"
    SAVINGS_PLAN = "savings_plan"
    COMMITTED_USE = "committed_use"


@dataclass(frozen=True, slots=True)
class TeamPrice:
    """What a team pays, by agreement, for some machines of a cloud. Exactly one of price and discount is set."""

    cloud: str
    agreement: Agreement
    market: Market = Market.ON_DEMAND
    usd_per_hour: Decimal | None = None  # of one node; positive
    discount: Decimal | None = None  # share of the list price that is not paid, between 0 and 1
    instance_type: str = ""  # "" for all of the family, or of the cloud
    family: str = ""  # "g5", "a2": see `family_of`
    region: str = ""  # "" for all
    accelerators: str = ""  # "T4:1", where the instance type leaves them open
    start: datetime | None = None  # UTC; inclusive. None: it always did
    end: datetime | None = None  # UTC; exclusive. None: it has no end
    name: str = ""  # for people
    where: str = ""  # file and line, for people

    def covers(self, pool: Pool, market: Market) -> bool:
        """Whether it is about this machine, at whatever time. One for another accelerator, or for none, is not."""
        return (
            self.market is market
            and self.cloud == pool.cloud
            and self.region in ("", pool.region)
            and self.instance_type in ("", pool.instance_type)
            and self.family in ("", family_of(pool.instance_type))
            and (self.accelerators in ("", pool.accelerators))
        )

    def holds(self, now: datetime) -> bool:
        """Whether it is in force."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)

    @property
    def narrowness(self) -> tuple[bool, bool, bool, bool]:
        """The narrower of two that cover a machine is meant: by type, then by family, then by region."""
        return bool(self.instance_type), bool(self.accelerators), bool(self.family), bool(self.region)

    def usd(self, list_usd_per_hour: Decimal | None) -> Decimal | None:
        """The price; None for a discount off a list price that nobody knows."""
        if self.usd_per_hour is not None or self.discount is None or list_usd_per_hour is None:
            return self.usd_per_hour
        paid = (list_usd_per_hour * (1 - self.discount)).quantize(_FINEST)
        return Decimal(f"{paid.normalize():f}") if paid > 0 else None

    def text(self) -> str:
        """What is paid by, for people: ``team's prices (prices.yaml:3): savings plan, 28 % off``."""
        kind = self.agreement.value.replace("_", " ")
        off = "" if self.discount is None else f", {(100 * self.discount).normalize():f} % off"
        until = "" if self.end is None else f", until {self.end:%Y-%m-%d}"
        return f"team's prices ({self.where}): {self.name + ', ' if self.name else ''}{kind}{off}{until}"


def family_of(instance_type: str) -> str:
    """What a cloud's agreements call a family: ``g5`` of g5.xlarge, ``a2`` of a2-highgpu-1g; else the whole name."""
    return re.split(r"[.-]", instance_type, maxsplit=1)[0]


def team_price(prices: Iterable[TeamPrice], pool: Pool, market: Market, now: datetime) -> TeamPrice | None:
    """The narrowest price that covers a machine and is in force; None: the team has none."""
    covering = [price for price in prices if price.covers(pool, market) and price.holds(now)]
    return max(covering, key=lambda price: price.narrowness, default=None)
