"""What another trial is expected to gain and to cost, and when a sweep has had enough: the terms of sweep.stop_when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class StopRule:
    """The sweep ends when so much more money is expected to improve the metric by less than this."""

    gain_below: float  # of the metric
    per_usd: float


class NextTrialWorth(NamedTuple):
    """What is expected of the next trial."""

    gain: float  # by how much it improves on the best, in the unit of the metric
    cost: float  # in those of the mean trial so far; 1 where costs do not count or none is known


@dataclass(frozen=True, slots=True)
class MachinePrice:
    """What the machine costs that the host runs on."""

    usd_per_hour: float
    hour_s: float  # seconds of wall clock that one billed hour takes

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> MachinePrice | None:
        """As the scheduler states it for an attempt; None where it does not."""
        try:
            return cls(float(environ["SPOTWISE_USD_PER_HOUR"]), float(environ["SPOTWISE_HOUR_S"]))
        except (KeyError, ValueError):
            return None
