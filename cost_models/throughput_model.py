"""How fast a job trains on boards it has not run on: a Gaussian process over boards' published figures and jobs. Pure.

The logarithm of a job's speed on a board is its own level, plus functions of the board's figures (linear and Matern
3/2) that all jobs share, that its family shares and that are its own, plus what is peculiar to a board. The formulas
are in docs/cost-model.md. Its few variances are fitted beforehand (benchmarks/fit_throughput_model.py); here a matrix
of some 200 measurements is inverted once, when first asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import numpy as np

from .arrays import Array
from .blas_threads import one_thread
from .sources.shipped import READ_ON, read_table

FAMILIES = ("vision", "language", "speech", "reinforcement")
# Of a job that does not say. An assumption: most jobs are one of the first two; the others must not set their ratios.
FAMILY_WEIGHTS = {"vision": 0.45, "language": 0.45, "speech": 0.05, "reinforcement": 0.05}
_LEVEL_VARIANCE = 100.0  # of the logarithm of a job's speed as such: it may be in samples, tokens or steps
_FIGURES = ("tensor_tflops", "fp32_tflops", "bandwidth_gb_per_s", "memory_gb", "watts")


@dataclass(frozen=True, slots=True)
class Board:
    """A GPU as a data sheet describes it."""

    name: str
    accelerators: tuple[str, ...]  # what SkyPilot calls it, in capitals
    figures: tuple[float, ...]  # logarithms of `_FIGURES`

    def figures_in(self, *, single_precision: bool) -> tuple[float, ...]:
        """Without tensor cores where a job does not use them."""
        return (self.figures[1], *self.figures[1:]) if single_precision else self.figures


@dataclass(frozen=True, slots=True)
class MeasuredSpeed:
    """One measured speed; those of one job on several boards can be compared."""

    board: str
    workload: str
    family: str
    series: str  # who measured it, and how: a workload in another series is another job, of the same nature
    log_speed: float

    @property
    def job(self) -> tuple[str, str]:
        """What it is a speed of."""
        return self.workload, self.series


@dataclass(frozen=True, slots=True)
class Variances:
    """Standard deviations of the parts, all of the logarithm of speed; as fitted."""

    slopes: tuple[float, ...]  # by figure: shared by all jobs
    family_slope: float
    workload_slope: float
    board: float
    family_board: float
    workload_board: float
    noise: float  # of the lambda series
    other_noise: float  # of the others
    curve: float
    family_curve: float
    workload_curve: float
    length: float  # of the curves, in logarithms of figures

    @classmethod
    def shipped(cls) -> Variances:
        """As fitted beforehand."""
        file = resources.files("spotwise.cost_models") / "data" / f"throughput-model-{READ_ON.isoformat()}.json"
        found = json.loads(file.read_text(encoding="utf-8"))
        return cls(slopes=tuple(found.pop("slopes")), **found)


@dataclass(frozen=True, slots=True)
class SpeedBelief:
    """Of a job that was not measured: the logarithm of its speed on every board, up to its own level."""

    mean: Array  # (boards,)
    covariance: Array  # (boards, boards), the job's own noise included

    def given(self, at: Sequence[int], seen: Sequence[float], noise: Sequence[float]) -> tuple[SpeedBelief, float]:
        """What measured logarithms of speed leave, and how likely they were: the log density."""
        picked, gap = list(at), np.asarray(seen) - self.mean[list(at)]
        inner = self.covariance[np.ix_(picked, picked)] + np.diag(np.square(noise) + 1e-9)
        gain = np.linalg.solve(inner, self.covariance[picked]).T
        density = -0.5 * (float(gap @ np.linalg.solve(inner, gap)) + float(np.linalg.slogdet(inner)[1]))
        return SpeedBelief(self.mean + gain @ gap, self.covariance - gain @ self.covariance[picked]), density


class ThroughputModel:
    """Conditioned on measured speeds; it tells of all `boards`."""

    def __init__(self, measured: Sequence[MeasuredSpeed], variances: Variances) -> None:
        self._measured, self._variances = tuple(measured), variances
        speeds = np.array([speed.log_speed for speed in measured])
        self._level = float(speeds.mean())
        with one_thread():
            covariance = self.covariance(self._measured, self._measured) + np.diag(self._noise_of(measured))
            self._inverse = np.linalg.inv(covariance)
            self._weights = self._inverse @ (speeds - self._level)

    def belief(self, family: str, workload: str = "") -> SpeedBelief:
        """Of a job of a family; ``workload``: one that was measured, whose own nature is then known."""
        asked = tuple(MeasuredSpeed(name, workload, family, "asked", 0.0) for name in boards())
        with one_thread():
            cross = self.covariance(self._measured, asked)
            own = self.covariance(asked, asked) + np.eye(len(asked)) * self._variances.noise**2
            return SpeedBelief(self._level + cross.T @ self._weights, own - cross.T @ self._inverse @ cross)

    def covariance(self, rows: tuple[MeasuredSpeed, ...], columns: tuple[MeasuredSpeed, ...]) -> Array:
        """Prior covariance of speeds, without noise: shape (rows, columns)."""
        v, alike = self._variances, _alike(rows, columns)
        distance = math.sqrt(3) / v.length * alike.distance
        curve = (1 + distance) * np.exp(-distance)
        family, workload, board = alike.family, alike.workload, alike.board
        found: Array = (
            np.tensordot(np.square(v.slopes), alike.products, 1)
            + (v.family_slope**2 * family + v.workload_slope**2 * workload) * alike.products.sum(axis=0)
            + (v.curve**2 + v.family_curve**2 * family + v.workload_curve**2 * workload) * curve
            + (v.board**2 + v.family_board**2 * family + v.workload_board**2 * workload) * board
            + _LEVEL_VARIANCE * alike.job
        )
        return found

    def log_likelihood(self) -> float:
        """Of the measured speeds."""
        speeds = np.array([speed.log_speed for speed in self._measured]) - self._level
        return 0.5 * float(np.linalg.slogdet(self._inverse)[1] - speeds @ self._weights)

    def _noise_of(self, measured: Sequence[MeasuredSpeed]) -> Array:
        v = self._variances
        noise = [v.noise if speed.series.startswith("lambda") else v.other_noise for speed in measured]
        return np.square(noise) + 1e-6


@dataclass(frozen=True, slots=True)
class _Alike:
    """What speeds have in common, whatever the variances: arrays of shape (rows, columns)."""

    products: Array  # (figures, rows, columns)
    distance: Array
    family: Array
    workload: Array
    board: Array
    job: Array


@lru_cache(maxsize=4)
def _alike(rows: tuple[MeasuredSpeed, ...], columns: tuple[MeasuredSpeed, ...]) -> _Alike:
    left, right = _figures(rows), _figures(columns)
    return _Alike(
        products=np.einsum("rf,cf->frc", left, right),
        distance=np.sqrt(np.square(left[:, None, :] - right[None, :, :]).sum(axis=2)),
        family=_same([each.family for each in rows], [each.family for each in columns]),
        workload=_same([each.workload for each in rows], [each.workload for each in columns]),
        board=_same([each.board for each in rows], [each.board for each in columns]),
        job=_same([each.job for each in rows], [each.job for each in columns]),
    )


def _figures(speeds: Sequence[MeasuredSpeed]) -> Array:
    """(speeds, figures), centred."""
    known = boards()
    centre: Array = np.mean([board.figures for board in known.values()], axis=0)
    found: Array = np.array([known[s.board].figures_in(single_precision=s.series.startswith("gavel")) for s in speeds])
    centred: Array = found - centre
    return centred


def _same(rows: Sequence[object], columns: Sequence[object]) -> Array:
    numbers = {value: number for number, value in enumerate(dict.fromkeys([*rows, *columns]))}
    left, right = (np.array([numbers[value] for value in values]) for values in (rows, columns))
    found: Array = (left[:, None] == right[None, :]).astype(float)
    return found


@cache
def boards() -> Mapping[str, Board]:
    """The boards whose published figures ship with the package, by name."""
    return {
        row["board"]: Board(
            row["board"],
            tuple(row["accelerators"].upper().split()),
            tuple(math.log(float(row[figure])) for figure in _FIGURES),
        )
        for row in read_table("gpu-boards")
    }


@cache
def measured_speeds() -> tuple[MeasuredSpeed, ...]:
    """All that ship with the package."""
    return tuple(
        MeasuredSpeed(row["board"], row["workload"], row["family"], row["series"], math.log(float(row["speed"])))
        for row in read_table("measured-speed")
    )


@cache
def shipped_belief(family: str) -> SpeedBelief:
    """Of a job of a family, by all that was measured; boards in the order of `boards`."""
    return _shipped_model().belief(family)


@cache
def _shipped_model() -> ThroughputModel:
    return ThroughputModel(measured_speeds(), Variances.shipped())
