"""A source's reading as JSON and back: what is kept of it on this machine."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from spotwise.checkpoints.strict_json import Fields, UnreadableError
from spotwise.cost_models.offer import Market, Pool
from spotwise.cost_models.sources.base import (
    CapacityKind,
    CapacitySignal,
    HazardKind,
    HazardWitness,
    Quote,
    Reading,
    Row,
)

FORMAT = 1  # what another version wrote is not read: it is asked for again


def reading_json(reading: Reading) -> dict[str, Any]:
    """Money as text, times ISO 8601 UTC."""
    return {
        "format": FORMAT,
        "source": reading.source,
        "read_at": reading.read_at.isoformat(),
        "skipped": list(reading.skipped),
        "rows": [_row_json(row) for row in reading.rows],
    }


def reading_of(found: Any) -> Reading:
    """The reading in a JSON value.

    Raises:
        UnreadableError: it is none, or one of another version.
    """
    fields = Fields(found)
    if fields.whole("format") != FORMAT:
        raise UnreadableError("it is of another version")
    rows, skipped = fields.all.get("rows"), fields.all.get("skipped")
    if not isinstance(rows, list) or not isinstance(skipped, list) or not all(isinstance(s, str) for s in skipped):
        raise UnreadableError("it holds no rows")
    return Reading(
        source=fields.text("source"),
        read_at=fields.moment("read_at"),
        rows=tuple(_row(Fields(row)) for row in rows),
        skipped=tuple(skipped),
    )


def _row_json(row: Row) -> dict[str, Any]:
    pool = {
        "cloud": row.pool.cloud,
        "region": row.pool.region,
        "zone": row.pool.zone,
        "instance_type": row.pool.instance_type,
        "accelerators": row.pool.accelerators,
    }
    match row:
        case Quote():
            usd, at = f"{row.usd_per_hour:f}", row.at.isoformat()
            return {"row": "quote", **pool, "market": row.market.value, "usd_per_hour": usd, "at": at}
        case CapacitySignal():
            at = row.at.isoformat()
            return {"row": "capacity", **pool, "kind": row.kind.value, "value": row.value, "size": row.size, "at": at}
        case HazardWitness():
            span = {"start": row.start.isoformat(), "end": row.end.isoformat()}
            said = {"kind": row.kind.value, "value": row.value, "exposure_hours": row.exposure_hours}
            return {"row": "hazard", **pool, **said, **span}


def _row(fields: Fields) -> Row:
    pool = Pool(
        cloud=fields.text("cloud"),
        region=fields.text("region"),
        zone=fields.text("zone"),
        instance_type=fields.text("instance_type"),
        accelerators=fields.text("accelerators"),
    )
    what = fields.text("row")
    if what == "quote":
        return Quote(pool, fields.member("market", Market), _usd(fields.text("usd_per_hour")), fields.moment("at"))
    if what == "capacity":
        size = fields.whole("size", low=1)
        return CapacitySignal(
            pool, fields.member("kind", CapacityKind), fields.number("value"), size, fields.moment("at")
        )
    if what == "hazard":
        return HazardWitness(
            pool,
            fields.member("kind", HazardKind),
            fields.number("value"),
            fields.moment("start"),
            fields.moment("end"),
            fields.optional_number("exposure_hours", low=0),
        )
    raise UnreadableError(f"a row is {what!r}")


def _usd(text: str) -> Decimal:
    try:
        usd = Decimal(text)
    except InvalidOperation:
        usd = Decimal(0)
    if not (usd.is_finite() and usd > 0):
        raise UnreadableError("'usd_per_hour' is no price")
    return usd
