"""How long a start takes: from launch until work goes on, by the starts that were seen. Pure.

A start that was cut off, by a preemption as a rule, has not shown how long it would have taken: it took at least so
long (a right-censored observation). Leaving those out would make machines that die young look quick to start.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

# Of something that has gone on for a time and not ended, it is as likely as not that it takes as long again: the median
# under a prior that favours no scale (Gott, Nature 363, 1993).
AS_LONG_AGAIN = 2.0


@dataclass(frozen=True, slots=True)
class Observed:
    """A duration as it was seen."""

    hours: float  # billed
    is_whole: bool  # False: cut off, so it takes at least so long


def expected_hours(seen: Iterable[Observed], assumed_hours: float) -> float:
    """Mean of what was seen whole; what was cut off later than that counts as well.

    Where nothing was seen whole: what is assumed, or twice the longest that was cut off if that is more.
    """
    all_ = list(seen)
    whole = [each.hours for each in all_ if each.is_whole]
    cut = [each.hours for each in all_ if not each.is_whole]
    if not whole:
        return max([assumed_hours, *(AS_LONG_AGAIN * hours for hours in cut)])
    mean = fmean(whole)
    return fmean([*whole, *(hours for hours in cut if hours > mean)])
