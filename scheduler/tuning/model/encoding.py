"""A search space as a unit cube: many configurations at once, for models that want numbers.

A configuration is a row: for a numeric parameter its place between its bounds (0 to 1, on a log scale where the space
says so), for a categorical one the index of its choice, NaN where it has none, as for a parameter that does not exist
with the values of others. Models see columns instead: a column a numeric parameter, one a choice, so that two
different choices lie 1 apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotwise.cost_models.arrays import Array

from ...core.configurations import Space, Spec, conditions_of, configuration_count, configurations, parents_first
from ..study.search_space import NO_FIT, fit, is_numeric

# Lengths are in widths of a parameter's range; none of these is tuned.
MISSING_PLACE = 0.5  # of a parameter that a trial does not have: as far from one end as from the other
MAX_OUTSIDE = 0.5  # how far outside the bounds a past value may lie: further ones are moved there
_MIN_STEP, _MAX_STEP = 0.02, 0.4  # standard deviation of a step to a neighbour: drawn between these, log-uniformly
_MOVED_PARAMETERS = 1.5  # that a neighbour has changed on average, besides one at random
_BEYOND_ROUNDING = 0.6  # of a grid's step, added to each move: less than half would be rounded back
_SMOOTH_STEP = 0.05  # a grid of smaller steps may be moved on freely, and snapped afterwards
_SAME_WITHIN = 1e-3  # rows that differ by less are the same configuration
_SAME_PLACE = 1e-9  # values of a parameter that others depend on lie further apart
_NO_CELL = -1e12  # of what is missing
_CELL_OFFSET = 0.3819660112501051  # in cells of that size; irrational, so that no grid lies on the border of two cells


class UnitCube:
    """The rows and columns of one space, see above."""

    def __init__(self, space: Space) -> None:
        self.space = dict(space)
        self._specs = list(self.space.values())
        self.numeric = np.array([is_numeric(spec) for spec in self._specs], dtype=bool)
        self._places = [(name, _place_in(spec)) for name, spec in self.space.items()]
        steps = [_steps(spec) for spec in self._specs]
        self._width = np.array([width for width, _ in steps])  # of a step, in widths of the range; 0: any value
        self._most = np.array([count for _, count in steps])  # steps that fit between the bounds
        self._single = np.array([is_numeric(spec) and spec["high"] <= spec["low"] for spec in self._specs], dtype=bool)
        # (parameters,): which have so many values that they may be moved freely and snapped afterwards
        self.is_smooth = self.numeric & ~self._single & (self._width < _SMOOTH_STEP)
        widths = [1 if is_numeric(spec) else len(spec["choices"]) for spec in self._specs]
        self.parameter = np.repeat(np.arange(len(widths)), widths)  # (columns,): which parameter each belongs to
        self._conditions = list(self._placed_conditions())

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.space)

    def rows(self, configs: Sequence[Mapping[str, Any]]) -> Array:
        """Shape (configurations, parameters). Values of another space may lie outside the bounds, and do so here."""
        return np.array([self._row(config) for config in configs]).reshape(len(configs), len(self._specs))

    def all_rows(self, most: int) -> Array | None:
        """A row for each configuration; None where there are more than so many."""
        if configuration_count(self.space, most) is None:
            return None
        return self.snapped(self.rows(list(configurations(self.space))))

    def _row(self, config: Mapping[str, Any]) -> list[float]:
        return [place(config[name]) if name in config else math.nan for name, place in self._places]

    def columns(self, rows: Array) -> Array:
        """Shape (rows, columns). What is missing lies in the middle, as far from one end as from the other."""
        parts = []
        for index, spec in enumerate(self._specs):
            values = rows[:, index]
            if self.numeric[index]:
                parts.append(np.where(np.isnan(values), MISSING_PLACE, values)[:, None])
            else:
                parts.append(math.sqrt(0.5) * (values[:, None] == np.arange(len(spec["choices"]))))
        return np.hstack(parts) if parts else np.zeros((len(rows), 0))

    def random(self, count: int, rng: np.random.Generator) -> Array:
        """Rows that are spread evenly, each parameter by itself."""
        return self.snapped(self._drawn(count, rng))

    def _drawn(self, count: int, rng: np.random.Generator) -> Array:
        """The same, not yet on their steps: most of what is drawn is not used, and snapping takes longer."""
        rows = rng.random((count, len(self._specs)))
        for index, spec in enumerate(self._specs):
            if not self.numeric[index]:
                rows[:, index] = rng.integers(0, len(spec["choices"]), count)
        return rows

    def neighbours(self, rows: Array, count: int, rng: np.random.Generator, max_step: float = _MAX_STEP) -> Array:
        """So many neighbours of each row: one parameter or a few are moved, by about ``max_step`` widths at most."""
        base = np.repeat(self.filled(rows, rng), count, axis=0)
        if not base.size:
            return base
        moved = rng.random(base.shape) < _MOVED_PARAMETERS / base.shape[1]
        moved[np.arange(len(base)), rng.integers(0, base.shape[1], len(base))] = True
        size = np.exp(rng.uniform(math.log(min(_MIN_STEP, max_step / 4)), math.log(max_step), (len(base), 1)))
        step = rng.normal(size=base.shape) * size
        step += _BEYOND_ROUNDING * np.sign(step) * self._width
        other = self._drawn(len(base), rng)
        return self.snapped(np.where(moved, np.where(self.numeric, base + step, other), base))

    def config(self, row: Array) -> dict[str, Any]:
        """The configuration of a row within the bounds; parameters that it does not have are left out."""
        found = {name: _value(spec, place) for (name, spec), place in zip(self.space.items(), row, strict=True)}
        return {name: value for name, value in found.items() if value is not NO_FIT}

    def is_among(self, rows: Array, others: Array) -> NDArray[np.bool_]:
        """(rows,): whether each is one of the others."""
        known = {cell.tobytes() for cell in _cells(others)}
        return np.array([cell.tobytes() in known for cell in _cells(rows)], dtype=bool)

    def filled(self, rows: Array, rng: np.random.Generator) -> Array:
        """The rows with what is missing drawn at random, also where it does not exist with the rest."""
        drawn, missing = self._drawn(len(rows), rng), np.isnan(rows)
        return np.where(missing, self._on_steps(drawn), rows) if missing.any() else rows

    def snapped(self, rows: Array) -> Array:
        """Within the bounds, on the steps of those that have some, and without what does not exist with the rest: where
        `rows` places their configurations.
        """
        return self._existing(self._on_steps(rows))

    def _on_steps(self, rows: Array) -> Array:
        inside = np.clip(rows, 0.0, 1.0)
        width = np.where(self._width > 0.0, self._width, 1.0)
        steps = np.minimum(np.rint(inside / width), self._most)
        stepped = np.where(self._width > 0.0, steps * width, inside)
        for index, spec in enumerate(self._specs):
            if spec["type"] == "int" and spec.get("log") and not self._single[index]:
                low, logs = math.log(spec["low"]), math.log(spec["high"]) - math.log(spec["low"])
                stepped[:, index] = (np.log(np.rint(np.exp(low + logs * inside[:, index]))) - low) / logs
        stepped[:, self._single] = 0.5
        return np.where(self.numeric, stepped, rows)

    def _existing(self, rows: Array) -> Array:
        """The rows with what does not exist beside their other values as missing."""
        if not self._conditions:
            return rows
        absent = np.zeros(rows.shape, dtype=bool)
        for index, parent, places in self._conditions:  # those that others depend on come first
            found = rows[:, parent]
            differs = ~np.isnan(found) & (np.abs(found[:, None] - places) > _SAME_PLACE).all(axis=1)
            absent[:, index] |= absent[:, parent] | differs
        return np.where(absent, math.nan, rows)

    def _placed_conditions(self) -> Iterator[tuple[int, int, Array]]:
        """(parameter, parameter that it depends on, places with one of which it exists)."""
        places, names = dict(self._places), list(self.space)
        for name in parents_first(self.space):
            for parent, allowed in conditions_of(self.space[name]).items():
                if parent in places:
                    found = np.array([places[parent](value) for value in allowed])
                    yield names.index(name), names.index(parent), found[~np.isnan(found)]


def encode(space: Space, configs: Sequence[Mapping[str, Any]]) -> Array:
    """Columns of configurations of any space, shape (configurations, columns). Beyond the bounds lies on them."""
    cube = UnitCube(space)
    return cube.columns(cube.snapped(cube.rows(configs)))


def _cells(rows: Array) -> Array:
    return np.rint(np.where(np.isnan(rows), _NO_CELL, rows / _SAME_WITHIN + _CELL_OFFSET))


def _steps(spec: Spec) -> tuple[float, int]:
    """The width of a step, in widths of the range, and how many fit; nothing where any value may be."""
    step = spec.get("step") or (1 if spec["type"] == "int" else None)
    if not is_numeric(spec) or spec.get("log") or not step or spec["high"] <= spec["low"]:
        return 0.0, 0
    places = (float(spec["high"]) - float(spec["low"])) / float(step)
    return 1.0 / places, math.floor(places + 1e-9)


def _place_in(spec: Spec) -> Callable[[object], float]:
    """The function from a parameter's values to their places."""
    if not is_numeric(spec):
        return lambda value: _index(spec, value)
    is_log = bool(spec.get("log"))
    low, high = (math.log(spec[end]) if is_log else float(spec[end]) for end in ("low", "high"))

    def place(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return math.nan
        if is_log and value <= 0:
            return -MAX_OUTSIDE
        at = math.log(value) if is_log else float(value)
        return min(max((at - low) / (high - low), -MAX_OUTSIDE), 1.0 + MAX_OUTSIDE) if high > low else 0.5

    return place


def _index(spec: Spec, value: object) -> float:
    fitted = fit(spec, value)
    return next((float(i) for i, choice in enumerate(spec["choices"]) if choice is fitted), math.nan)


def _value(spec: Spec, place: float) -> Any:
    if math.isnan(place):
        return NO_FIT
    if not is_numeric(spec):
        return spec["choices"][int(place)]
    low, high = float(spec["low"]), float(spec["high"])
    if spec.get("log"):
        return fit(spec, math.exp(math.log(low) + place * (math.log(high) - math.log(low))))
    return fit(spec, low + place * (high - low))
