"""The options of ``spotwise backtest`` as values: durations as job files write them, money as a number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from ..backtest.replay import Rules
from ..core.errors import InputError
from ..jobfile.quantities import parse_duration, parse_money
from .backtest import Backtest

Value = TypeVar("Value")


def asked_for(
    files: tuple[Path, ...],
    policies: tuple[str, ...],
    *,
    work: str,
    deadline: str,
    restart: str,
    tick: str,
    checkpoint_interval: str,
    probe: str,
    move: str,
    stride: str | None,
    spot_price: str | None,
    on_demand_price: str | None,
    together: bool,
) -> Backtest:
    """Raises InputError that names the option."""
    rules = Rules(
        work_hours=_hours("work", work),
        deadline_hours=_hours("deadline", deadline),
        restart_hours=_hours("restart", restart),
        tick_hours=_hours("tick", tick, above_0=True),
        checkpoint_interval_hours=_hours("checkpoint-interval", checkpoint_interval),
        probe_hours=_hours("probe", probe) if together else 0.0,
        move_hours=_hours("move", move) if together else 0.0,
    )
    return Backtest(
        files=files,
        policies=policies,
        rules=rules,
        stride_hours=None if stride is None else _hours("stride", stride, above_0=True),
        together=together,
        spot_usd_per_hour=_price("spot-price", spot_price),
        on_demand_usd_per_hour=_price("on-demand-price", on_demand_price),
    )


def _hours(option: str, text: str, *, above_0: bool = False) -> float:
    hours = _parsed(option, text, parse_duration) / timedelta(hours=1)
    if above_0 and hours == 0:
        raise InputError(f"--{option}: found {text}; required: more than nothing")
    return hours


def _price(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    price = _parsed(option, text if "USD" in text else f"{text} USD", parse_money)
    if price <= 0:
        raise InputError(f"--{option}: found {text}; required: more than 0 USD an hour")
    return price


def _parsed(option: str, text: str, parse: Callable[[object], Value]) -> Value:
    try:
        return parse(text)
    except ValueError as error:
        raise InputError(f"--{option}: {error}") from error
