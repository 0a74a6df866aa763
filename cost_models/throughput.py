"""How fast one accelerator trains against another, from measured throughputs; what was not measured is not guessed.

Speeds are kept against one V100, workload by workload. Two accelerators measured on the same workloads are compared on
those, by the geometric mean of the ratios (Fleming and Wallace, "How not to lie with statistics", Communications of the
ACM 29(3), 1986); two that share none are compared by way of the V100.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from .errors import CostModelError
from .sources.shipped import READ_ON, read_table


@dataclass(frozen=True, slots=True)
class Speed:
    """How many times as fast as the reference: geometric mean over workloads, with the slowest and the fastest."""

    factor: float
    low: float
    high: float
    source: str


@dataclass(frozen=True, slots=True)
class _Measured:
    workload: str
    kind: str  # vision, language, speech, reinforcement
    speed: float  # one V100 is 1


def relative_speed(accelerator: str, reference: str, *, workload: str | None = None) -> Speed | None:
    """Speed of ``accelerator`` against ``reference``, each as SkyPilot writes them: ``T4``, ``A100:8``.

    Args:
        workload: a measured one (``resnet50``) or a kind (``vision``, ``language``, ``speech``); others, and None, take
            all that was measured.

    Returns:
        None where either was not measured. Equal accelerators differ by their number only, measured or not.

    Raises:
        CostModelError: a number of accelerators that is not a positive whole number.
    """
    (name, count), (other, other_count) = _parse(accelerator), _parse(reference)
    one = _one_against_one(name, other, workload)
    if one is None:
        return None
    if count == other_count:
        return one
    many, few = multi_gpu_speed(count), multi_gpu_speed(other_count)
    source = f"{one.source}; {count} against {other_count} of them: {many.source if count > 1 else few.source}"
    return Speed(
        one.factor * many.factor / few.factor, one.low * many.low / few.high, one.high * many.high / few.low, source
    )


@cache
def multi_gpu_speed(gpus: int) -> Speed:
    """Speed of several GPUs of one machine against one, over all boards measured with 2, 4 and 8.

    Other numbers follow the power law through the measured number nearest to them: an assumption, and said so.
    """
    if gpus == 1:
        return Speed(1.0, 1.0, 1.0, "one GPU")
    measured = _scaling()
    nearest = min(measured, key=lambda number: abs(math.log(number / gpus)))
    found = _spread(measured[nearest])
    if nearest == gpus:
        return Speed(*found, f"lambda deeplearning-benchmark, {len(measured[gpus])} measurements on {gpus} GPUs")
    exponent = math.log(gpus) / math.log(nearest)
    factor, low, high = (value**exponent for value in found)
    return Speed(factor, low, high, f"assumed: power law through what was measured on {nearest} GPUs")


def _one_against_one(name: str, other: str, workload: str | None) -> Speed | None:
    if name == other:
        return Speed(1.0, 1.0, 1.0, "the same accelerator")
    measured, reference = _speeds().get(name, ()), _speeds().get(other, ())
    if not measured or not reference:
        return None
    mine, theirs = ({entry.workload: entry.speed for entry in _of(rows, workload)} for rows in (measured, reference))
    shared = sorted(mine.keys() & theirs.keys())
    if shared:
        ratios = [mine[key] / theirs[key] for key in shared]
        return Speed(*_spread(ratios), f"measured {READ_ON.isoformat()} table: {', '.join(shared)}")
    (factor, low, high), (base, base_low, base_high) = _spread([*mine.values()]), _spread([*theirs.values()])
    source = f"measured {READ_ON.isoformat()} table, by way of the V100: {len(mine)} and {len(theirs)} workloads"
    return Speed(factor / base, low / base_high, high / base_low, source)


def _of(rows: Sequence[_Measured], workload: str | None) -> Sequence[_Measured]:
    """The rows of a workload or kind; all of them where that leaves none."""
    return [row for row in rows if workload in (row.workload, row.kind)] or rows


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    mean = math.exp(sum(math.log(value) for value in values) / len(values))
    return mean, min(values), max(values)


def _parse(accelerator: str) -> tuple[str, int]:
    name, _, count = accelerator.strip().upper().partition(":")
    if count and not (count.isdigit() and int(count) > 0):
        raise CostModelError(f"accelerator {accelerator!r}: the number after ':' must be a whole number above 0")
    return name, int(count or 1)


@cache
def _speeds() -> Mapping[str, Sequence[_Measured]]:
    found: dict[str, list[_Measured]] = {}
    for row in read_table("relative-speed"):
        entry = _Measured(row["workload"], row["kind"], float(row["speed_vs_v100"]))
        found.setdefault(row["accelerator"].upper(), []).append(entry)
    return MappingProxyType(found)


@cache
def _scaling() -> Mapping[int, Sequence[float]]:
    found: dict[int, list[float]] = {}
    for row in read_table("gpu-scaling"):
        found.setdefault(int(row["gpus"]), []).append(float(row["speed_vs_one"]))
    return MappingProxyType(found)
