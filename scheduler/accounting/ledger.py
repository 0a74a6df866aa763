"""The ledger: what every attempt cost, cut into intervals, to the last digit. Pure.

Amounts are whole micro-dollars. An attempt's rows are rounded on their running sum, so they add up to exactly
``interval x price x nodes`` of the whole attempt, however finely it is cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from spotwise.cost_models.offer import Offer

from ..core.money import MICRO_USD
from ..core.run import Attempt, CostBasis


class Category(StrEnum):
    """What the money bought."""

    PRODUCTIVE = "productive"  # work that counts
    LOST_WORK = "lost_work"  # work after the last checkpoint that a preemption or crash destroyed
    OVERHEAD = "overhead"  # provisioning, set-up, restore
    IDLE = "idle"  # capacity of a sweep host that no trial held
    FAILED = "failed"  # a program that crashed
    PRUNED = "pruned"  # trials that early stopping ended


@dataclass(frozen=True, slots=True)
class Span:
    """A share of an attempt's capacity over an interval, before it is priced."""

    start: datetime
    end: datetime
    category: Category
    trial: int | None = None
    share: Fraction = Fraction(1)  # the shares of one moment add up to 1


@dataclass(frozen=True, slots=True)
class Charge:
    """One row of the ledger."""

    id: str  # "<attempt id>-c<seq>"
    run_id: str
    attempt_id: str
    seq: int
    trial: int | None
    start: datetime
    end: datetime
    share: Decimal  # part of the attempt's capacity, for reading; the amount is computed from the exact fraction
    hours: Decimal  # billed node-hours x share, for reading
    category: Category
    offer: Offer
    amount_usd: Decimal
    on_demand_usd: Decimal | None  # what the same hours cost on demand; None where nobody sells them so
    cost_basis: CostBasis


def billed_hours(start: datetime, end: datetime, hour_s: Decimal) -> Fraction:
    """Exact billed hours between two moments.

    Raises:
        ValueError: ``end`` lies before ``start``.
    """
    if end < start:
        raise ValueError(f"an interval cannot end ({end.isoformat()}) before it starts ({start.isoformat()})")
    microseconds = (end - start) // timedelta(microseconds=1)
    return Fraction(microseconds, 1_000_000) / Fraction(hour_s)


def cost_of(attempt: Attempt, end: datetime) -> Decimal:
    """What an attempt has cost from launch until ``end``, rounded once."""
    end = max(end, attempt.launched_at)
    hours = billed_hours(attempt.launched_at, end, attempt.hour_s)
    return _round(hours * attempt.nodes * Fraction(attempt.offer.price_usd_per_hour))


def book(attempt: Attempt, spans: Sequence[Span]) -> tuple[Charge, ...]:
    """The charges of an ended attempt. ``spans`` must cover it exactly: no gap, no overlap beyond shares of one.

    Raises:
        ValueError: the spans do not add up to the attempt's interval.
    """
    if attempt.ended_at is None:
        raise ValueError(f"attempt {attempt.id} has not ended: only ended attempts are booked")
    pieces = sorted(_by_day(spans), key=lambda s: (s.start, s.end, -1 if s.trial is None else s.trial))
    pieces = [piece for piece in pieces if piece.end > piece.start]
    held = sum((billed_hours(p.start, p.end, attempt.hour_s) * p.share for p in pieces), Fraction(0))
    whole = billed_hours(attempt.launched_at, attempt.ended_at, attempt.hour_s)
    if held != whole:
        raise ValueError(f"spans of attempt {attempt.id} cover {float(held)} of {float(whole)} billed hours")
    return tuple(_price(attempt, pieces))


def _price(attempt: Attempt, pieces: Sequence[Span]) -> Iterator[Charge]:
    price = Fraction(attempt.offer.price_usd_per_hour)
    on_demand = attempt.offer.on_demand_usd_per_hour
    hours = Fraction(0)
    for seq, piece in enumerate(pieces, start=1):
        node_hours = billed_hours(piece.start, piece.end, attempt.hour_s) * piece.share * attempt.nodes
        before, hours = hours, hours + node_hours
        yield Charge(
            id=f"{attempt.id}-c{seq}",
            run_id=attempt.run_id,
            attempt_id=attempt.id,
            seq=seq,
            trial=piece.trial,
            start=piece.start,
            end=piece.end,
            share=_round(piece.share),
            hours=_round(node_hours),
            category=piece.category,
            offer=attempt.billed,
            amount_usd=_round(hours * price) - _round(before * price),
            on_demand_usd=None
            if on_demand is None
            else _round(hours * Fraction(on_demand)) - _round(before * Fraction(on_demand)),
            cost_basis=attempt.cost_basis,
        )


def _round(value: Fraction) -> Decimal:
    """To whole millionths, half to even."""
    return Decimal(round(value * 1_000_000)) * MICRO_USD


def _by_day(spans: Iterable[Span]) -> Iterator[Span]:
    """Cut at UTC midnight, so that spend per day and month needs no proportioning."""
    for whole in spans:
        span = whole
        while span.start.astimezone(UTC).date() < (span.end - timedelta(microseconds=1)).astimezone(UTC).date():
            midnight = span.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            yield replace(span, end=midnight)
            span = replace(span, start=midnight)
        yield span
