"""What a sweep takes from past studies, and what that is worth in trials and in money. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from spotwise.cost_models.estimate import MoneyQuantiles, Quantiles

from ..core.money import in_micro_usd, json_usd
from ..core.study import StudyRecord
from ..jobfile.job_spec import JobSpec
from ..tuning.savings.expected import Saving, expected_of
from ..tuning.search.portfolio import PriorConfig, candidates, chosen_of, portfolio_size
from ..tuning.search.related_studies import RelatedStudy

TENTH = Decimal("0.1")  # of a trial: estimates of trials are no finer


@dataclass(frozen=True, slots=True)
class WarmStart:
    """What a sweep will take from past studies."""

    studies: tuple[RelatedStudy, ...]
    first: tuple[PriorConfig, ...]  # what it tries first
    trials: int | None  # of the sweep; None: it ends by budget or deadline
    saving: Saving | None  # None: too few past studies to tell


def warm_start_of(job: JobSpec, found: Sequence[RelatedStudy]) -> WarmStart | None:
    """None for a job that is no sweep."""
    if job.sweep is None:
        return None
    space, most = job.sweep.space_spec, job.sweep.most_trials
    if job.sweep.search == "grid":  # its order is its own: related studies only tell how long trials take
        return WarmStart(tuple(found), (), most, None)
    size = portfolio_size(job.sweep.trials)  # as the sweep's host reckons it
    known = candidates([related.study for related in found], space, by_cost=True)
    return WarmStart(tuple(found), chosen_of(known, space, size), most, expected_of(known, space, size))


def usd_per_trial(cost_usd: Decimal | None, trials: int | None) -> Decimal | None:
    """None where nothing is known, nothing was tried, or nothing is paid: then trials alone say what is saved."""
    if cost_usd is None or not trials or not cost_usd.is_finite() or not cost_usd:
        return None
    return in_micro_usd(cost_usd / trials)


def trial_usd(study: StudyRecord) -> Decimal | None:
    """What a study cost by its trials, starts and preemptions included, as a plan reckons it too."""
    return usd_per_trial(study.known_cost_usd(), len(study.trials))


def worth_usd(trials: Quantiles, each_usd: Decimal | None) -> MoneyQuantiles | None:
    """Trials as money; None where nobody knows what one costs."""
    if each_usd is None:
        return None
    amounts = (each_usd * _tenths(part) for part in (trials.expected, trials.p10, trials.p90))
    return MoneyQuantiles(*(in_micro_usd(amount) for amount in amounts))


def saving_json(saving: Saving | None, each_usd: Decimal | None) -> dict[str, Any] | None:
    """Stable keys; money as decimal strings."""
    if saving is None:
        return None
    usd, parts = worth_usd(saving.trials, each_usd), ("expected", "p10", "p90")
    return {
        "studies": saving.studies,
        "trials_with": saving.with_past,
        "trials_without": _rounded(saving.without),
        "saved_trials": _rounded(saving.trials),
        "usd_per_trial": json_usd(each_usd),
        "saved_usd": None if usd is None else {name: json_usd(getattr(usd, name)) for name in parts},
    }


def _rounded(trials: Quantiles) -> dict[str, float]:
    return {name: float(_tenths(getattr(trials, name))) for name in ("expected", "p10", "p90")}


def _tenths(trials: float) -> Decimal:
    """Never minus zero."""
    return Decimal(repr(trials)).quantize(TENTH) + 0
