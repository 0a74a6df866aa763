"""Engines carry decisions out; ``base`` is the contract. Each is imported on first use and slows no other."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the local engine's nodes import this package and must start fast
    from decimal import Decimal

    from ..clock import Clock
    from .base import Engine

# name -> module with `create_engine(home, clock, *, market_file, price_usd_per_hour) -> Engine`
_MODULES = {"local": "spotwise.scheduler.engines.local.engine"}


def engine_names() -> tuple[str, ...]:
    return tuple(sorted(_MODULES))


def engine_named(
    name: str,
    home: Path,
    clock: Clock,
    *,
    market_file: Path | None = None,
    price_usd_per_hour: Decimal | None = None,
) -> Engine:
    """The engine of this name. ``market_file`` and ``price_usd_per_hour`` (of this machine) are the local engine's.

    Raises:
        InputError: no engine has this name, or the market file has faults.
    """
    if name not in _MODULES:
        from ..errors import InputError

        nearest = difflib.get_close_matches(name, _MODULES, n=1)
        hint = f"; did you mean {nearest[0]}" if nearest else ""
        raise InputError(f"there is no engine {name!r}; choose one of: {', '.join(engine_names())}{hint}")
    create: Callable[..., Engine] = import_module(_MODULES[name]).create_engine
    return create(home, clock, market_file=market_file, price_usd_per_hour=price_usd_per_hour)
