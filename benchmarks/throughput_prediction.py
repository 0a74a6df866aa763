"""How well the speed of a job on a GPU that it has not run on is predicted, from one GPU type that it has run on.

    python benchmarks/throughput_prediction.py

Judged on the measured speeds that ship (cost_models/data/README.md says whose), each pair of GPU types of each job:
- a job is left out: its workload, in every series, is unknown but for one speed on one GPU type;
- a job and a GPU type are left out: besides that, nothing was ever measured on the type that is asked for.
Beside it: the ratio of tensor TFLOPS; one reference (geometric means against a V100, as spotwise had before); matrix
completion (levels and one factor of jobs and boards, alternating least squares). The last two know nothing of a type
that nobody measured. The model's sixteen variances were fitted to all measurements, these included; the rest was not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.throughput import FOUR_IN_FIVE
from spotwise.cost_models.throughput_model import (
    MeasuredSpeed,
    SpeedBelief,
    ThroughputModel,
    Variances,
    boards,
    measured_speeds,
)

RIDGE, ROUNDS = 0.05, 500


@dataclass(frozen=True)
class Pair:
    """One prediction: errors are of the logarithm of speed; nan where a method has no answer."""

    seen: MeasuredSpeed
    asked: MeasuredSpeed
    model: float
    sigma: float
    tflops: float
    reference: float
    completion: float


def gpu_type(speed: MeasuredSpeed) -> str:
    """What SkyPilot calls it: PCIe and SXM boards of one name are one type."""
    return speed.board.removesuffix("-PCIe").removesuffix("-SXM")


def left_out(*, with_type: bool) -> Iterator[Pair]:
    """All pairs, where the workload (and the GPU type that is asked for) is unknown to every method."""
    speeds, variances = measured_speeds(), Variances.shipped()
    for workload in sorted({speed.workload for speed in speeds}):
        own = [speed for speed in speeds if speed.workload == workload]
        for asked_type in sorted({gpu_type(speed) for speed in own}) if with_type else [None]:
            known = [s for s in speeds if s.workload != workload and gpu_type(s) != asked_type]
            belief = ThroughputModel(known, variances).belief(own[0].family)
            peers = None if with_type else Peers(known)
            for seen, asked in ((a, b) for a in own for b in own if a.job == b.job and gpu_type(a) != gpu_type(b)):
                if asked_type in (None, gpu_type(asked)):
                    yield _pair(belief, peers, seen, asked)


def _pair(belief: SpeedBelief, peers: Peers | None, seen: MeasuredSpeed, asked: MeasuredSpeed) -> Pair:
    names = list(boards())
    here, there = names.index(seen.board), names.index(asked.board)
    left, _ = belief.given([here], [seen.log_speed], [0.0])
    true = asked.log_speed - seen.log_speed
    return Pair(
        seen=seen,
        asked=asked,
        model=float(left.mean[there]) - asked.log_speed,
        sigma=float(np.sqrt(left.covariance[there, there])),
        tflops=boards()[asked.board].figures[0] - boards()[seen.board].figures[0] - true,
        reference=peers.by_reference(seen.board, asked.board) - true if peers else float("nan"),
        completion=peers.completed(seen.board, asked.board) - true if peers else float("nan"),
    )


class Peers:
    """What spotwise had before, and matrix completion, of the same measurements."""

    def __init__(self, known: Sequence[MeasuredSpeed]) -> None:
        self._by_job: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for speed in known:
            self._by_job[speed.job][speed.board] = speed.log_speed
        self._boards = sorted({speed.board for speed in known})
        self._level, self._factor = self._fitted()

    def by_reference(self, seen: str, asked: str) -> float:
        """Mean logarithm of the ratio over shared jobs, else by way of the V100."""
        direct = self._ratio(seen, asked)
        return self._ratio("V100", asked) - self._ratio("V100", seen) if np.isnan(direct) else direct

    def _ratio(self, seen: str, asked: str) -> float:
        found = [each[asked] - each[seen] for each in self._by_job.values() if seen in each and asked in each]
        return float(np.mean(found)) if found else float("nan")

    def completed(self, seen: str, asked: str) -> float:
        """One speed tells a job's level only: its factor stays at the mean, which the boards' levels hold."""
        if seen not in self._boards or asked not in self._boards:
            return float("nan")
        here, there = self._boards.index(seen), self._boards.index(asked)
        return float(self._level[there] - self._level[here] + self._factor[there] - self._factor[here])

    def _fitted(self) -> tuple[Array, Array]:
        """Levels of boards, and their factor times the jobs' mean."""
        jobs = list(self._by_job)
        matrix = np.full((len(jobs), len(self._boards)), np.nan)
        for row, job in enumerate(jobs):
            for board, value in self._by_job[job].items():
                matrix[row, self._boards.index(board)] = value
        there = ~np.isnan(matrix)
        filled = np.where(there, matrix, 0.0)
        own, level = np.zeros(len(jobs)), np.zeros(len(self._boards))
        left, right = np.ones(len(jobs)), np.random.default_rng(0).normal(0.0, 0.1, len(self._boards))
        for _ in range(ROUNDS):
            product = np.outer(left, right)
            own = (there * (filled - level - product)).sum(axis=1) / there.sum(axis=1)
            level = (there * (filled - own[:, None] - product)).sum(axis=0) / (there.sum(axis=0) + RIDGE)
            gap = there * (filled - own[:, None] - level)
            left = (gap @ right) / (there @ np.square(right) + RIDGE)
            right = (gap.T @ left) / (there.T @ np.square(left) + RIDGE)
        return level, right * float(left.mean())


def _median(errors: Sequence[float]) -> str:
    """Median relative error of speed, of the pairs that have an answer."""
    known = [abs(np.expm1(error)) for error in errors if not np.isnan(error)]
    return f"{np.median(known):7.1%}" if known else "      -"


def _row(name: str, pairs: Sequence[Pair]) -> str:
    inside = np.mean([abs(pair.model) < FOUR_IN_FIVE * pair.sigma for pair in pairs])
    columns = (
        _median([p.model for p in pairs]),
        _median([p.reference for p in pairs]),
        _median([p.completion for p in pairs]),
        _median([p.tflops for p in pairs]),
    )
    return f"{name:28} {len(pairs):6} {'  '.join(columns)} {inside:9.0%}"


def main() -> None:
    for title, with_type in (("job left out", False), ("job and GPU type left out", True)):
        pairs = list(left_out(with_type=with_type))
        print(f"{title}: median error of speed\n{'':28}  pairs   model  one ref.  completion  TFLOPS  in 10-90 %")
        print(_row("all pairs", pairs))
        for family in sorted({pair.seen.family for pair in pairs}):
            print(_row(family, [pair for pair in pairs if pair.seen.family == family]))
        for series in ("lambda", "sia", "gavel"):
            print(_row(f"measured by {series}", [p for p in pairs if p.seen.series.startswith(series)]))
        print()


if __name__ == "__main__":
    main()
