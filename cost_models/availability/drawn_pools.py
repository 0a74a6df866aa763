"""Pools drawn from the model of pools, and what somebody would believe of each who saw only its capacity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..arrays import Array
from .model import ADVANCE, PHASES, TICK_HOURS, PoolModel


class DrawnPools:
    """Many pools side by side, a tick at a time: parts of ``TICK_HOURS``, or whole numbers of those.

    Beliefs have shape (pools, regimes * PHASES): of the states with the capacity that a pool has now, for its other
    states are impossible.
    """

    def __init__(
        self, model: PoolModel, pools: int, rng: np.random.Generator, *, tick_hours: float = TICK_HOURS
    ) -> None:
        part = min(tick_hours / TICK_HOURS, 1.0)
        self._steps, self._rng = max(round(tick_hours / TICK_HOURS), 1), rng
        self._shift = np.eye(model.regimes) + part * (model.shift - np.eye(model.regimes))
        self._shifts = self._shift.cumsum(axis=1)
        self._hazard = np.ascontiguousarray(1.0 - (1.0 - model.hazard.transpose(1, 0, 2)) ** part)  # (2, K, PHASES)
        self._advance = part * ADVANCE
        state = rng.choice(model.states, pools, p=model.unseen)
        self._regime, place = np.divmod(state, 2 * PHASES)
        self._there, self._phase = np.divmod(place, PHASES)
        seen = model.unseen.reshape(model.regimes, 2, PHASES).transpose(1, 0, 2)[self._there]
        self._belief = seen / seen.sum(axis=(1, 2), keepdims=True)

    @property
    def size(self) -> int:
        """How many pools there are."""
        return len(self._regime)

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """(pools,): whether there is capacity now."""
        return self._there.astype(bool)

    @property
    def belief(self) -> Array:
        """(pools, regimes * PHASES): what who saw it at every tick believes."""
        return np.asarray(self._belief.reshape(self.size, -1))

    def step(self) -> None:
        """Let the time of a tick pass."""
        for _ in range(self._steps):
            before = self._there
            self._draw()
            self._look(before)

    def _draw(self) -> None:
        """The regime shifts first, and the spell goes on by the new one's hazard: as the model's steps do."""
        chance = self._rng.random((3, self.size))
        regime = (self._shifts[self._regime] < chance[0][:, None]).sum(axis=1)
        self._regime = np.minimum(regime, len(self._shifts) - 1)
        ends = chance[1] < self._hazard[self._there, self._regime, self._phase]
        grows = chance[2] < self._advance[self._phase]
        self._phase = np.where(ends, 0, self._phase + grows)
        self._there = np.where(ends, 1 - self._there, self._there)

    def _look(self, before: npt.NDArray[np.intp]) -> None:
        shifted = self._shift.T @ self._belief
        ended = shifted * self._hazard[before]
        stayed = shifted - ended
        grown = stayed * self._advance
        stayed -= grown
        stayed[:, :, 1:] += grown[:, :, :-1]
        broken = before != self._there
        stayed[broken] = 0.0
        stayed[broken, :, 0] = ended.sum(axis=2)[broken]
        self._belief = stayed / stayed.sum(axis=(1, 2), keepdims=True)
