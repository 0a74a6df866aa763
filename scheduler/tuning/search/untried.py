"""Which configurations of a finite space are left: a sweep tries none twice, and ends when there is no other."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from ...core.configurations import Space, configuration_count, configuration_key, configurations
from ..study.proposal import Proposal
from ..study.study_state import Study


class UntriedConfigurations:
    """Of one space. It keeps nothing of the sweep: all it knows it is told at each call."""

    def __init__(self, space: Space, seed: int | None) -> None:
        """``seed``: of what is drawn."""
        self._space, self._seed = space, seed or 0
        self.count = configuration_count(space)  # of all configurations; None: endless

    def is_exhausted(self, study: Study) -> bool:
        """Whether every configuration is one of the study's trials, whatever came of it."""
        return self.count is not None and len(study.trials) >= self.count and len(self._tried(study)) >= self.count

    def instead_of(self, proposal: Proposal, study: Study) -> Proposal:
        """The proposal, or one at random where its configuration was tried, or runs: a failure would be repeated too.

        As it came where the space is endless, or nothing else is left.
        """
        if self.count is None:
            return proposal
        tried = self._tried(study)
        if configuration_key(self._space, proposal.params) not in tried:
            return proposal
        left = [each for each in configurations(self._space) if configuration_key(self._space, each) not in tried]
        if not left:
            return proposal
        drawn = random.Random(f"{self._seed}/{proposal.number}/untried")  # noqa: S311 - no secret
        return replace(proposal, params=drawn.choice(left), source="sampler", note="")

    def _tried(self, study: Study) -> set[tuple[Any, ...]]:
        return {configuration_key(self._space, trial.params) for trial in study.trials.values()}
