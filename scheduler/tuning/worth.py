"""Whether another trial is worth its money. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from .costs import whole_seconds
from .view import Study, TrialPhase, TrialView

LEAST_TRIALS = 10  # that are over, before a sweep ends by this rule


@dataclass(frozen=True, slots=True)
class StopRule:
    """The sweep ends when so much more money is expected to improve the metric by less than this."""

    gain_below: float  # of the metric
    per_usd: float


class Expected(NamedTuple):
    """What is expected of the next trial."""

    gain: float  # by how much it improves on the best, in the unit of the metric
    cost: float  # in those of the mean trial so far; 1 where costs do not count or none is known


@dataclass(frozen=True, slots=True)
class Price:
    """What the machine costs that the host runs on."""

    usd_per_hour: float
    hour_s: float  # seconds of wall clock that one billed hour takes

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Price | None:
        """As the scheduler states it for an attempt; None where it does not."""
        try:
            return cls(float(environ["SPOTWISE_USD_PER_HOUR"]), float(environ["SPOTWISE_HOUR_S"]))
        except (KeyError, ValueError):
            return None


def usd_per_trial(study: Study, price: Price) -> float | None:
    """Mean over the trials that are over, on this machine; None while there is none that took time."""
    over = [trial for trial in study.trials.values() if trial.phase.is_final]
    seconds = sum(_seconds(trial) for trial in over)
    return seconds / len(over) / price.hour_s * price.usd_per_hour if seconds > 0.0 else None


def enough(study: Study, expected: Expected | None, rule: StopRule, price: Price) -> str:
    """Why the sweep ends, for people; empty while it goes on.

    ``expected``: of the next trial. Later ones are expected to improve the metric by less for their cost, so that this
    is the most that money can do.
    """
    over = sum(trial.phase.is_final for trial in study.trials.values())
    mean = usd_per_trial(study, price)
    if expected is None or mean is None or over < LEAST_TRIALS:
        return ""
    for_money = expected.gain / (mean * expected.cost) * rule.per_usd
    if for_money >= rule.gain_below:
        return ""
    return (
        f"another {rule.per_usd:g} USD is expected to improve the best by {for_money:.2g} at most, "
        f"and sweep.stop_when says that less than {rule.gain_below:g} is not worth it"
    )


def seconds_of(trial: TrialView, epochs: int | None) -> float | None:
    """What its whole training takes of a machine, at the pace of what has been done; None where nothing tells."""
    if trial.phase is TrialPhase.FAILED:
        return None
    completed = trial.phase is TrialPhase.COMPLETED
    return whole_seconds(_seconds(trial), trial.epoch, epochs, completed=completed)


def _seconds(trial: TrialView) -> float:
    """Of the whole machine: a trial that shares it counts by its share. Holds that a killed host left open are not
    known.
    """
    return sum(float(hold.share) * _length(hold.start, hold.end) for hold in trial.holds if hold.end is not None)


def _length(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())
