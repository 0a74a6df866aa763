"""Engines carry decisions out; ``base`` is the contract. Each is imported on first use and slows no other."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the local engine's nodes import this package and must start fast
    from ..core.clock import Clock
    from ..jobfile.settings import Settings
    from .base import Engine

# name -> module with `create_engine(settings, clock) -> Engine`
_MODULES = {
    "local": "spotwise.scheduler.engines.local.engine",
    "skypilot": "spotwise.scheduler.engines.skypilot.engine",
}


def engine_names() -> tuple[str, ...]:
    """All engines, sorted."""
    return tuple(sorted(_MODULES))


def checked_name(name: str) -> str:
    """The name, if there is such an engine.

    Raises:
        InputError: there is none; the message names those there are.
    """
    if name not in _MODULES:
        from ..core.errors import InputError

        nearest = difflib.get_close_matches(name, _MODULES, n=1)
        hint = f"; did you mean {nearest[0]}" if nearest else ""
        raise InputError(f"there is no engine {name!r}; choose one of: {', '.join(engine_names())}{hint}")
    return name


def engine_named(name: str, settings: Settings, clock: Clock) -> Engine:
    """The engine of this name, as the settings describe it.

    Raises:
        InputError: no engine has this name, or what the settings say of it cannot be used.
    """
    create: Callable[..., Engine] = import_module(_MODULES[checked_name(name)]).create_engine
    return create(settings, clock)
