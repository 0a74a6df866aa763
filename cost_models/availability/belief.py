"""What is believed of one pool: a distribution over the model's states, updated by each look at its capacity.

The forward algorithm of hidden Markov models (Rabiner, Proc. IEEE 77, 1989). Symbols: docs/notation.md.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..tolerance import ROUNDING_ERROR
from .model import TICK_HOURS, PoolModel

_TINY = 1e-12


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class AvailabilityHistory:
    """When capacity was looked for in a pool, and whether it was there: a chain, the newest first.

    ``held`` says that an instance was held there since the look before, so that there was capacity all the while.
    """

    at_hours: float  # on any clock of billed hours
    available: bool
    before: AvailabilityHistory | None = None
    held: bool = False

    def then(self, at_hours: float, available: bool, *, held: bool = False) -> AvailabilityHistory:
        """The chain with one more look, at ``at_hours`` on the same clock; looks come in the order of time."""
        return AvailabilityHistory(at_hours, available, self, held)


@dataclass(frozen=True, eq=False)
class AvailabilityBelief:
    """How likely each state of the model is."""

    model: PoolModel
    weights: Array  # (states,); they add up to 1

    @classmethod
    def of_an_unseen_pool(cls, model: PoolModel) -> AvailabilityBelief:
        """What is believed of a pool before the first look."""
        return cls(model, model.unseen)

    @property
    def chance_available(self) -> float:
        """The chance that there is capacity now."""
        return float(self.weights @ self.model.has_capacity)

    @property
    def hours_unbroken(self) -> float:
        """Hours that a spell with capacity, if there is one now, is expected to last."""
        return float(self.given(available=True).weights @ self.model.hours_unbroken)

    def later(self, hours: float, *, held: bool = False) -> AvailabilityBelief:
        """The belief after so many hours without a look.

        Args:
            hours: that have passed; 0 or less changes nothing.
            held: an instance was held there and was not lost meanwhile, so that there was capacity all the while.
        """
        if hours <= 0:
            return self
        steps = self.model.steps(hours)
        return self._scaled(self.weights @ (steps.unbroken if held else steps.any))

    def given(self, *, available: bool) -> AvailabilityBelief:
        """The belief after a look that found capacity, or none. What the model holds for impossible resets it."""
        there = self.model.has_capacity
        return self._scaled(self.weights * (there if available else 1.0 - there))

    def _scaled(self, weights: Array) -> AvailabilityBelief:
        total = float(weights.sum())
        if total < _TINY:  # the model holds what was seen for impossible: it knows nothing of this pool
            return AvailabilityBelief.of_an_unseen_pool(self.model)
        return AvailabilityBelief(self.model, weights / total)


def believe(
    model: PoolModel, history: AvailabilityHistory | None, now_hours: float | None = None
) -> AvailabilityBelief:
    """What is believed of a pool, by all that was seen of it.

    Args:
        history: the looks so far; None: nobody has looked yet.
        now_hours: when, on the clock of the history; None: at the last of them.
    """
    if history is None:
        return AvailabilityBelief.of_an_unseen_pool(model)
    belief = _at_last_look(model, history)
    return belief if now_hours is None else belief.later(now_hours - history.at_hours)


_known: weakref.WeakKeyDictionary[AvailabilityHistory, dict[int, AvailabilityBelief]] = weakref.WeakKeyDictionary()


def _at_last_look(model: PoolModel, history: AvailabilityHistory) -> AvailabilityBelief:
    """Every look is worked in once, however often and from wherever the chain is read."""
    chain: list[AvailabilityHistory] = []
    link: AvailabilityHistory | None = history
    belief: AvailabilityBelief | None = None
    while link is not None and (belief := _known.get(link, {}).get(id(model))) is None:
        chain.append(link)
        link = link.before
    for each in reversed(chain):
        if belief is None:
            belief = AvailabilityBelief.of_an_unseen_pool(model)
        elif each.before is not None:
            belief = _through(belief, each.at_hours - each.before.at_hours, held=each.held)
        belief = belief.given(available=each.available)
        _known.setdefault(each, {})[id(model)] = belief
    return belief or AvailabilityBelief.of_an_unseen_pool(model)


def _through(belief: AvailabilityBelief, hours: float, *, held: bool) -> AvailabilityBelief:
    """Long stretches in whole ticks, since steps are made for those."""
    if hours <= TICK_HOURS:
        return belief.later(hours, held=held)
    ticks = np.floor(hours / TICK_HOURS + ROUNDING_ERROR)
    return belief.later(float(ticks) * TICK_HOURS, held=held)
