"""The best time between checkpoints: too often wastes writing, too seldom wastes lost work.

``interval`` always means hours of work between the end of one checkpoint and the start of the next.

- Young, "A first order approximation to the optimum checkpoint interval", Communications of the ACM 17(9), 1974.
- Daly, "A higher order estimate of the optimum checkpoint interval for restart dumps", Future Generation Computer
  Systems 22(3), 2006, equation 37.

Both assume a constant hazard; for others the mean lifetime stands in.
"""

from __future__ import annotations

import math

from .errors import CostModelError

SHORTEST_HOURS = 1.0 / 60.0  # where a checkpoint costs nothing; below this, bookkeeping is what it costs


def young(checkpoint_hours: float, mean_lifetime_hours: float) -> float:
    """Young's interval in hours, ``sqrt(2 C M)``: the best to first order.

    Args:
        checkpoint_hours: C, for which work stands still.
        mean_lifetime_hours: M, until a preemption; may be infinite.

    Raises:
        CostModelError: a negative or infinite checkpoint, or a lifetime that is not positive.
    """
    _check(checkpoint_hours, mean_lifetime_hours)
    return math.sqrt(2.0 * checkpoint_hours * mean_lifetime_hours)


def daly(checkpoint_hours: float, mean_lifetime_hours: float) -> float:
    """Daly's interval in hours, of a higher order: ``sqrt(2 C M) (1 + x/3 + x²/9) - C`` with ``x = sqrt(C / 2M)``.

    From ``C >= 2M`` on it is ``M``. Arguments and errors are those of `young`.
    """
    _check(checkpoint_hours, mean_lifetime_hours)
    if checkpoint_hours >= 2.0 * mean_lifetime_hours:
        return mean_lifetime_hours
    if math.isinf(mean_lifetime_hours):
        return math.inf
    x = math.sqrt(checkpoint_hours / (2.0 * mean_lifetime_hours))
    return young(checkpoint_hours, mean_lifetime_hours) * (1.0 + x / 3.0 + x * x / 9.0) - checkpoint_hours


def best_interval(checkpoint_hours: float, mean_lifetime_hours: float, work_hours: float) -> float:
    """Daly's interval in hours, never shorter than a checkpoint takes (or a minute), never longer than the work.

    Arguments and errors are those of `young`.
    """
    shortest = max(checkpoint_hours, SHORTEST_HOURS)
    return min(work_hours, max(shortest, daly(checkpoint_hours, mean_lifetime_hours)))


def hours_to_save(start_hours: float, interval_hours: float, mean_lifetime_hours: float) -> float:
    """Expected hours from a launch until a checkpoint is committed, starts over after preemptions included.

    ``M (exp((S + I) / M) - 1)``: at a constant hazard, the mean time until ``S + I`` hours went by unbroken (Daly 2006,
    equation 9 without its checkpoint). Never infinite: beyond a hundred lifetimes more makes no difference.

    Args:
        start_hours: S, from a launch until work goes on.
        interval_hours: I, of work until the checkpoint.
        mean_lifetime_hours: M, of a machine; may be infinite.
    """
    unbroken = start_hours + interval_hours
    if math.isinf(mean_lifetime_hours):
        return unbroken
    return mean_lifetime_hours * math.expm1(min(unbroken / mean_lifetime_hours, 100.0))


def _check(checkpoint_hours: float, mean_lifetime_hours: float) -> None:
    if not (0 <= checkpoint_hours < math.inf and mean_lifetime_hours > 0):
        raise CostModelError(
            f"a checkpoint interval needs a checkpoint cost of 0 h or more and a positive mean lifetime, "
            f"not {checkpoint_hours} h and {mean_lifetime_hours} h"
        )
