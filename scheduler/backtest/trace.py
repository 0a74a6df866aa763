"""Recordings of a pool's spot availability and prices, and reading them.

The format is that of the published recordings: see docs/policies.md.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from spotwise.cost_models.tolerance import ROUNDING_ERROR

from ..core.errors import InputError

UNKNOWN_SPOT_SHARE = Decimal("0.3")  # of the on-demand price, where a recording has no prices: AWS' V100 in 2023


@dataclass(frozen=True, eq=False)
class Trace:
    """One pool's recording, resampled to ticks of equal length."""

    id: str
    source: str
    zone: str
    device: str
    tick_hours: float
    available: npt.NDArray[np.bool_]  # (ticks,): whether as many spot instances as wanted could be had
    spot_usd_per_hour: tuple[Decimal, ...]  # by tick
    on_demand_usd_per_hour: Decimal
    has_prices: bool = True  # False: the spot price is an assumption

    @property
    def ticks(self) -> int:
        """How many ticks it has."""
        return len(self.available)


def read_trace(
    path: Path,
    tick_hours: float,
    *,
    spot_usd_per_hour: Decimal | None = None,
    on_demand_usd_per_hour: Decimal | None = None,
) -> Trace:
    """Read a recording; a tick has the value that the recording has at its start.

    Args:
        tick_hours: length of a tick of the result.
        spot_usd_per_hour: takes the place of the recording's own prices, as does ``on_demand_usd_per_hour``.

    Raises:
        InputError: it cannot be read or is no recording; says what is wrong and where.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    if not isinstance(data, dict):
        raise InputError(f"{path}: found {type(data).__name__}; required: an object with gap_seconds, runs, od_price")
    trace = _decoded(path, data, tick_hours)
    if on_demand_usd_per_hour is not None:
        trace = replace(trace, on_demand_usd_per_hour=on_demand_usd_per_hour)
    if spot_usd_per_hour is not None:
        return replace(trace, spot_usd_per_hour=(spot_usd_per_hour,) * trace.ticks, has_prices=True)
    if not trace.has_prices:
        assumed = UNKNOWN_SPOT_SHARE * trace.on_demand_usd_per_hour
        return replace(trace, spot_usd_per_hour=(assumed,) * trace.ticks)
    return trace


def _decoded(path: Path, data: Mapping[str, Any], tick_hours: float) -> Trace:
    gap_hours = _number(path, data, "gap_seconds") / 3600
    runs = data.get("runs")
    if not isinstance(runs, list) or not runs or not all(_is_run(run) for run in runs):
        raise InputError(f"{path}: runs: required: [[value, length], ...] with whole lengths above 0 and values from 0")
    values = np.repeat([value for value, _ in runs], [length for _, length in runs])
    stated = data.get("n_ticks", len(values))
    if stated != len(values):
        raise InputError(f"{path}: n_ticks: found {stated}, but the runs add up to {len(values)}")
    wanted = int(_number(path, data, "nodes")) if "nodes" in data else 1
    ticks = math.floor(len(values) * gap_hours / tick_hours + ROUNDING_ERROR)
    if ticks < 1:
        raise InputError(f"{path}: {len(values) * gap_hours:.2g} h are recorded, less than one tick")
    at = np.floor(np.arange(ticks) * tick_hours / gap_hours + ROUNDING_ERROR).astype(int)
    prices = _prices(path, data, len(values))
    return Trace(
        id=str(data.get("id", path.stem)),
        source=str(data.get("source", path.stem)),
        zone=str(data.get("zone", "")),
        device=str(data.get("device", "")),
        tick_hours=tick_hours,
        available=values[at] >= max(wanted, 1),
        spot_usd_per_hour=tuple(prices[i] for i in at) if prices else (Decimal(0),) * ticks,
        on_demand_usd_per_hour=Decimal(str(_number(path, data, "od_price"))),
        has_prices=bool(prices),
    )


def _prices(path: Path, data: Mapping[str, Any], ticks: int) -> list[Decimal]:
    """By tick of the recording; [] where it has none."""
    changes = data.get("spot_price_changes")
    if changes is None:
        return []
    if not isinstance(changes, list) or not changes or not all(_is_price(change) for change in changes):
        raise InputError(
            f"{path}: spot_price_changes: required: [[tick, usd_per_hour], ...] with prices above 0, or null"
        )
    starts = [tick for tick, _ in changes]
    if starts != sorted(starts):
        raise InputError(f"{path}: spot_price_changes: the ticks must rise")
    places = np.searchsorted(starts, np.arange(ticks), side="right") - 1
    known = [Decimal(str(price)) for _, price in changes]
    return [known[max(place, 0)] for place in places]


def _number(path: Path, data: Mapping[str, Any], key: str) -> float:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{path}: {key}: found {value!r}; required: a number above 0")
    return float(value)


def _is_run(run: object) -> bool:
    return _is_pair(run) and isinstance(run[1], int) and run[1] > 0 and run[0] >= 0  # type: ignore[index]


def _is_price(change: object) -> bool:
    return _is_pair(change) and isinstance(change[0], int) and 0 < change[1] < math.inf  # type: ignore[index]


def _is_pair(value: object) -> bool:
    if not isinstance(value, Sequence) or len(value) != 2:
        return False
    return all(isinstance(part, int | float) and not isinstance(part, bool) for part in value)
