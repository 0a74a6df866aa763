"""What a sweep takes from past studies and what that saves, in words: for the plan, `submit` and `status`."""

from __future__ import annotations

from decimal import Decimal

from ..core.money import short_usd
from ..core.study import shown_params
from ..core.text import counted
from ..jobfile.job_spec import JobSpec
from ..tuning.savings.expected import MIN_STUDIES, MIN_TRIALS, Saving
from .warm_start import WarmStart, worth_usd

LEAST = 0.5  # trials: less is called nothing


def prior_texts(job: JobSpec, warm_start: WarmStart | None) -> list[str]:
    """One line for each study used, then the configurations that will be tried first."""
    if job.sweep is None or warm_start is None:
        return []
    if job.sweep.priors == "none":
        return ["none are used, as the job file says"]
    if not warm_start.studies:
        return ["no related study yet: this sweep starts cold, and the next one learns from it"]
    lines = [f"{r.study.id} ({len(r.study.trials)} trials): {r.reason}" for r in warm_start.studies]
    lines += [
        f"trial {i} tries {shown_params(config.params)}, from {config.from_study} trial {config.from_trial}"
        for i, config in enumerate(warm_start.first)
    ]
    return lines


def expected_text(warm_start: WarmStart | None, each_usd: Decimal | None) -> str | None:
    """What past studies are expected to save; None where there are none."""
    if warm_start is None or not warm_start.studies:
        return None
    saving = warm_start.saving
    if saving is None:
        there = f"{len(warm_start.studies)} {'is' if len(warm_start.studies) == 1 else 'are'} there"
        return f"too few to tell what they save: {MIN_STUDIES} with {MIN_TRIALS} trials each are needed, {there}"
    first = f"the first {saving.with_past} trials are" if saving.with_past > 1 else "the first trial is"
    without = f"as good as {saving.without.expected:.0f} without"
    by = f"by leaving out each of {saving.studies} studies in turn"
    return f"expected to {_amount(saving, each_usd, 'save', 'cost')}: {first} {without}, {by}"


def realised_text(saving: Saving, each_usd: Decimal | None) -> str:
    """What past studies did save a sweep that has ended."""
    amount = _amount(saving, each_usd, "have saved", "have cost")
    first = f"the {saving.with_past} trials from them are" if saving.with_past > 1 else "the trial from them is"
    return f"estimated to {amount}: {first} as good as {saving.without.expected:.0f} without"


def _amount(saving: Saving, each_usd: Decimal | None, gains: str, loses: str) -> str:
    """``save 9 trials (10-90 %: 3 to 13), 0.42 USD (0.14 to 0.60)``; a loss is called one."""
    trials, usd = saving.trials, worth_usd(saving.trials, each_usd)
    nothing, loss = abs(trials.expected) < LEAST, trials.expected < 0
    if loss and not nothing:  # the same figures from the other side
        low, high, middle = -trials.p90, -trials.p10, -trials.expected
        money = "" if usd is None else _money(-usd.expected, -usd.p90, -usd.p10)
    else:
        low, high, middle = trials.p10, trials.p90, trials.expected
        money = "" if usd is None else _money(usd.expected, usd.p10, usd.p90)
    spread = f"(10-90 %: {_whole(low)} to {_whole(high)})"
    if nothing:
        return f"{gains} nothing {spread}"
    return f"{loses if loss else gains} {counted(round(middle), 'trial')}{' more' if loss else ''} {spread}{money}"


def _money(middle: Decimal, low: Decimal, high: Decimal) -> str:
    return f", {short_usd(middle)} USD ({short_usd(low)} to {short_usd(high)})"


def _whole(trials: float) -> str:
    return f"{round(trials) + 0}"
