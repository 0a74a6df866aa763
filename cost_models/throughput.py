"""How fast one accelerator trains against another: by a job's own runs, and by a model learned over measured jobs.

What is asked is a ratio with its uncertainty; docs/cost-model.md has the formulas. Accelerators whose figures nobody
published here have no speed: they are not guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

import numpy as np

from .arrays import Array
from .errors import CostModelError
from .sources.shipped import READ_ON, read_table
from .throughput_model import FAMILIES, FAMILY_WEIGHTS, SpeedBelief, boards, measured_speeds, shipped_belief

FOUR_IN_FIVE = 1.2816  # standard deviations to either side that hold 80 % of a normal distribution
_LEAST_SCALING_SIGMA = 0.03


@dataclass(frozen=True, slots=True)
class Speed:
    """How many times as fast as the reference."""

    factor: float  # the middle of what it may be
    sigma: float  # standard deviation of its logarithm; 0: known
    source: str  # for people

    @property
    def low(self) -> float:
        """It is faster than this nine times in ten."""
        return self.factor * math.exp(-FOUR_IN_FIVE * self.sigma)

    @property
    def high(self) -> float:
        """It is slower than this nine times in ten."""
        return self.factor * math.exp(FOUR_IN_FIVE * self.sigma)


@dataclass(frozen=True, slots=True)
class OwnSpeed:
    """How fast the job itself ran on an accelerator, against its reference."""

    accelerator: str  # as SkyPilot writes it: ``T4``, ``A100:8``
    factor: float
    sigma: float  # of its logarithm: how well this was measured


_SAME = Speed(1.0, 0.0, "the same accelerator")


@lru_cache(maxsize=4096)
def relative_speed(
    accelerator: str, reference: str, *, family: str | None = None, own: tuple[OwnSpeed, ...] = ()
) -> Speed | None:
    """Speed of ``accelerator`` against ``reference``, each as SkyPilot writes them: ``T4``, ``A100:8``.

    Args:
        family: what kind of job it is: one of `FAMILIES`; None: nobody said.
        own: what the job itself was seen to do; it counts more than the model the nearer the accelerators are.

    Returns:
        None where one of them has no published figures here. Equal accelerators differ by their number only.

    Raises:
        CostModelError: a number of accelerators that is not a positive whole number, or an unknown family.
    """
    if family is not None and family not in FAMILIES:
        raise CostModelError(f"no family of jobs {family!r}; there are {', '.join(FAMILIES)}")
    (name, count), (other, other_count) = _parse(accelerator), _parse(reference)
    scaling = _SAME if count == other_count else _scaled(count, other_count, family)
    if name == other:
        one: Speed | None = _SAME
    else:
        one = _one_against_one(name, other, family, _of_one(own, other, other_count, family))
    direct = next((seen for seen in own if _parse(seen.accelerator) == (name, count)), None)
    if direct is not None and (one is None or name == other):
        return Speed(direct.factor, direct.sigma, f"this job's own speed on {direct.accelerator}")
    if one is None or (name == other and count == other_count):
        return one
    parts = [part.source for part in (one, scaling) if part is not _SAME]
    return Speed(one.factor * scaling.factor, math.hypot(one.sigma, scaling.sigma), "; ".join(parts))


def multi_gpu_speed(gpus: int, family: str | None = None) -> Speed:
    """Speed of several GPUs of one machine against one, over all boards measured with 2, 4 and 8.

    Other numbers follow the power law through the measured number nearest to them: an assumption, and said so.
    """
    if gpus == 1:
        return Speed(1.0, 0.0, "one GPU")
    measured = _scaling(family if family in _scaled_families() else None)
    nearest = min(measured, key=lambda number: abs(math.log(number / gpus)))
    logs = np.log(measured[nearest])
    exponent = math.log(gpus) / math.log(nearest)
    sigma = max(float(logs.std(ddof=1)), _LEAST_SCALING_SIGMA)
    if nearest == gpus:
        source = f"lambda deeplearning-benchmark, {len(logs)} measurements on {gpus} GPUs"
    else:
        source = f"assumed: power law through what was measured on {nearest} GPUs"
    return Speed(math.exp(float(logs.mean()) * exponent), sigma * exponent, source)


def _scaled(count: int, other: int, family: str | None) -> Speed:
    """``count`` GPUs against another number of the same ones. What makes one number slow makes the other slow too."""
    many, few = multi_gpu_speed(count, family), multi_gpu_speed(other, family)
    source = f"{count} against {other} of them: {many.source if count > 1 else few.source}"
    return Speed(many.factor / few.factor, abs(many.sigma - few.sigma) or _LEAST_SCALING_SIGMA, source)


def _of_one(
    own: Sequence[OwnSpeed], reference: str, count: int, family: str | None
) -> tuple[tuple[str, float, float], ...]:
    """(accelerator, logarithm of its speed against one reference GPU, sigma), each as if of one GPU."""
    found = []
    for seen in own:
        name, number = _parse(seen.accelerator)
        if name != reference and seen.factor > 0:
            scaling = _SAME if number == count else _scaled(number, count, family)
            found.append((name, math.log(seen.factor / scaling.factor), math.hypot(seen.sigma, scaling.sigma)))
    return tuple(found)


@lru_cache(maxsize=4096)
def _one_against_one(
    name: str, other: str, family: str | None, own: tuple[tuple[str, float, float], ...]
) -> Speed | None:
    if not _boards_of(name) or not _boards_of(other):
        return None
    seen = [(other, 0.0, 0.0), *(each for each in own if _boards_of(each[0]))]
    told = [_told(shipped_belief(each), name, seen) for each in (FAMILIES if family is None else (family,))]
    weights = np.array([FAMILY_WEIGHTS[each] for each in FAMILIES] if family is None else [1.0])
    likely = np.array([density for _, _, density in told])
    weights = weights * np.exp(likely - likely.max())  # what a job was seen to do tells its family
    weights /= weights.sum()
    means, variances = (np.array(column) for column in list(zip(*told, strict=True))[:2])
    mean = float(weights @ means)
    variance = float(weights @ (variances + np.square(means - mean)))
    return Speed(math.exp(mean), math.sqrt(variance), _source(name, other, family, seen[1:]))


def _told(belief: SpeedBelief, name: str, seen: Sequence[tuple[str, float, float]]) -> tuple[float, float, float]:
    """Mean and variance of the logarithm of a speed, and how likely what was seen is."""
    row = _average(belief, [name, *(each for each, _, _ in seen)])
    left, density = row.given(range(1, len(seen) + 1), [log for _, log, _ in seen], [sigma for _, _, sigma in seen])
    return float(left.mean[0]), max(float(left.covariance[0, 0]), 0.0), density


def _average(belief: SpeedBelief, names: Sequence[str]) -> SpeedBelief:
    """Of accelerators, where a name stands for several boards: any of them."""
    known = list(boards())
    weights = np.zeros((len(names), len(known)))
    for row, name in enumerate(names):
        of = [known.index(board) for board in _boards_of(name)]
        weights[row, of] = 1.0 / len(of)
    spread = np.array([_between(belief, row) for row in weights])
    covariance = weights @ belief.covariance @ weights.T
    return SpeedBelief(weights @ belief.mean, covariance + np.diag(spread))


def _between(belief: SpeedBelief, weights: Array) -> float:
    """Variance among the boards that one name stands for."""
    mean = float(weights @ belief.mean)
    return float(weights @ np.square(belief.mean - mean))


def _source(name: str, other: str, family: str | None, own: Sequence[tuple[str, float, float]]) -> str:
    kind = f"{family} jobs" if family else "jobs of unknown kind"
    measured = {speed.board for speed in measured_speeds()}
    few = [each for each in (name, other) if not measured & set(_boards_of(each))]
    by = f", {' and '.join(few)} by published figures only" if few else ""
    also = f"this job's own speed on {', '.join(each for each, _, _ in own)} and " if own else ""
    return f"{also}a model over measured {kind} ({READ_ON.isoformat()}){by}"


def _parse(accelerator: str) -> tuple[str, int]:
    name, _, count = accelerator.strip().upper().partition(":")
    if count and not (count.isdigit() and int(count) > 0):
        raise CostModelError(f"accelerator {accelerator!r}: the number after ':' must be a whole number above 0")
    return name, int(count or 1)


def _boards_of(name: str) -> tuple[str, ...]:
    """SkyPilot's names do not always tell PCIe from SXM boards."""
    return _by_accelerator().get(name, ())


@cache
def _by_accelerator() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for board in boards().values():
        for name in board.accelerators:
            found.setdefault(name, []).append(board.name)
    return MappingProxyType({name: tuple(each) for name, each in found.items()})


@cache
def _scaling(family: str | None) -> Mapping[int, Sequence[float]]:
    found: dict[int, list[float]] = {}
    for row in read_table("gpu-scaling"):
        if family in (None, row["family"]):
            found.setdefault(int(row["gpus"]), []).append(float(row["speed_vs_one"]))
    return MappingProxyType(found)


@cache
def _scaled_families() -> frozenset[str]:
    return frozenset(row["family"] for row in read_table("gpu-scaling"))
