"""Policies decide where a run goes next; ``base`` is the contract, each other file one policy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from ..core.errors import InputError

if TYPE_CHECKING:
    from .base import Policy

_POLICIES = {
    "auto": ("auto", "Auto"),
    "deadline": ("deadline", "MeetDeadline"),
    "cheapest": ("cheapest", "Cheapest"),
    "on_demand": ("on_demand", "OnDemand"),
    "spot_only": ("spot_only", "SpotOnly"),
}
_PEERS = {"greedy": ("greedy", "Greedy"), "uniform_progress": ("uniform_progress", "UniformProgress")}
NAMES = tuple(_POLICIES)
DEADLINE_POLICIES = frozenset({"auto", "deadline"})  # go on demand before it is too late
ONE_MARKET = {"on_demand": "on_demand", "spot_only": "spot"}  # all that these policies take
PEERS = tuple(_PEERS)  # to be compared with, in backtests


def policy_named(name: str, cooldown_hours: float = 1.0) -> Policy:
    """The policy of this name, imported on first use.

    Args:
        cooldown_hours: billed hours that a pool is avoided after it preempted or refused the run.

    Raises:
        InputError: there is no such policy.
    """
    known = _POLICIES | _PEERS
    if name not in known:
        raise InputError(f"policy: found {name!r}; allowed: {', '.join(NAMES)}")
    module, cls = known[name]
    return cast("Policy", getattr(import_module(f".{module}", __package__), cls)(cooldown_hours=cooldown_hours))
