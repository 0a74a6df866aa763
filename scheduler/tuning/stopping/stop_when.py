"""Whether another trial is worth its money. Pure."""

from __future__ import annotations

from ..model.trial_cost import machine_seconds
from ..study.early_end import EarlyEnd, EarlyEndCause
from ..study.study_state import Study
from ..study.trial_worth import MachinePrice, NextTrialWorth, StopRule

MIN_TRIALS = 10  # that are over, before a sweep ends by this rule


def mean_trial_usd(study: Study, price: MachinePrice) -> float | None:
    """Mean over the trials that are over, on this machine; None while there is none that took time."""
    over = [trial for trial in study.trials.values() if trial.phase.is_final]
    seconds = sum(machine_seconds(trial) for trial in over)
    return seconds / len(over) / price.hour_s * price.usd_per_hour if seconds > 0.0 else None


def enough(study: Study, expected: NextTrialWorth | None, rule: StopRule, price: MachinePrice) -> EarlyEnd | None:
    """Why the sweep ends; None while it goes on.

    ``expected``: of the next trial. Later ones are expected to improve the metric by less for their cost, so that this
    is the most that money can do.
    """
    over = sum(trial.phase.is_final for trial in study.trials.values())
    mean = mean_trial_usd(study, price)
    if expected is None or mean is None or over < MIN_TRIALS:
        return None
    for_money = expected.gain / (mean * expected.cost) * rule.per_usd
    if for_money >= rule.gain_below:
        return None
    reason = (
        f"another {rule.per_usd:g} USD is expected to improve the best by {for_money:.2g} at most, "
        f"and sweep.stop_when says that less than {rule.gain_below:g} is not worth it"
    )
    return EarlyEnd(EarlyEndCause.NOT_WORTH_MORE, reason)
