"""What a sweep takes from past studies, in words for the plan."""

from __future__ import annotations

from collections.abc import Sequence

from .job import JobSpec
from .study import shown_params
from .tuning.portfolio import choose, portfolio_size
from .tuning.related import RelatedStudy
from .workloads import space_of


def prior_texts(job: JobSpec, found: Sequence[RelatedStudy]) -> list[str]:
    """One line for each study used, then the configurations that will be tried first."""
    if job.sweep is None:
        return []
    if job.sweep.priors == "none":
        return ["none are used, as the job file says"]
    if not found:
        return ["no related study yet: this sweep starts cold, and the next one learns from it"]
    lines = [f"{r.study.id} ({len(r.study.trials)} trials): {r.reason}" for r in found]
    chosen = choose([related.study for related in found], space_of(job), portfolio_size(job.sweep.trials))
    lines += [
        f"trial {i} tries {shown_params(config.params)}, from {config.from_study} trial {config.from_trial}"
        for i, config in enumerate(chosen)
    ]
    return lines
