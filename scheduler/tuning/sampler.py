"""An Optuna sampler that starts where past studies ended: their complementary best first, then TPE.

Uses only Optuna's public interface. It keeps no state between trials: what it proposes for a trial follows from the
seed, the trial's number and the study's trials, so a host that restarts proposes what it would have proposed anyway.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial

from ..study import StudyRecord
from .history import record_of
from .portfolio import PORTFOLIO_SIZE, PriorConfig, choose
from .space import NO_FIT, Space, fit, spec_of


class PastStudy(Protocol):
    """What is needed of a past study: an ``optuna.Study``, or anything frozen that looks like one."""

    @property
    def trials(self) -> list[FrozenTrial]: ...

    @property
    def directions(self) -> list[StudyDirection]: ...


class TransferSampler(BaseSampler):
    """Tries a portfolio of past studies' configurations, then goes on with TPE, which learns from those trials too.

    Spaces may overlap only partly: a parameter that a past study did not have is drawn at random. Each past study is
    read by its own goal and by ranks, so scales and directions do not matter. Without related history this is TPE.
    """

    def __init__(
        self,
        history: Sequence[PastStudy | StudyRecord] = (),
        seed: int | None = None,
        *,
        portfolio_size: int = PORTFOLIO_SIZE,
        space: Space | None = None,
    ) -> None:
        """Args:
            history: finished studies.
            portfolio_size: configurations of past studies to try first, at most.
            space: the new study's space as in a job file, where it is known beforehand: the portfolio is then chosen
                for it. Otherwise the space is that of the past studies, and each value is fitted when it is asked for.

        Raises:
            ValueError: a past study has more than one objective.
        """
        self._seed = random.SystemRandom().getrandbits(31) if seed is None else seed
        past = [study if isinstance(study, StudyRecord) else record_of(study, i) for i, study in enumerate(history)]
        self._portfolio = choose(past, _union(past) if space is None else space, portfolio_size)

    def prior(self, number: int) -> PriorConfig | None:
        """The past configuration that the trial of this number tries; None if the sampler proposes by itself."""
        return self._portfolio[number] if number < len(self._portfolio) else None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if self.prior(trial.number) is not None:
            return {}
        return self._tpe(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        return self._tpe(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        prior = self.prior(trial.number)
        if prior is None:
            tpe = self._tpe(trial, param_name)
            return tpe.sample_independent(study, trial, param_name, param_distribution)
        known = fit(spec_of(param_distribution), prior.params.get(param_name, NO_FIT))
        if known is not NO_FIT:
            return known
        chance = RandomSampler(seed=self._seed_of(trial, param_name))
        return chance.sample_independent(study, trial, param_name, param_distribution)

    def _tpe(self, trial: FrozenTrial, param_name: str = "") -> TPESampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # the constant liar is marked so before Optuna 5
            return TPESampler(seed=self._seed_of(trial, param_name), constant_liar=True)

    def _seed_of(self, trial: FrozenTrial, param_name: str) -> int:
        """A seed of its own for every trial and parameter: the same after a restart, in any order, in any thread."""
        return random.Random(f"{self._seed}/{trial.number}/{param_name}").getrandbits(31)  # noqa: S311 - no secret


def _union(past: Sequence[StudyRecord]) -> Space:
    """All past parameters; the newest study's bounds where several have one."""
    return {name: spec for study in past for name, spec in study.space.items()}
