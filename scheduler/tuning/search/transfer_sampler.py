"""An Optuna sampler that starts where past studies ended.

Uses only Optuna's public interface. It keeps no state between trials: what it proposes for a trial follows from the
seed, the trial's number and the study's trials, so a host that restarts proposes what it would have proposed anyway.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from spotwise.cost_models.arrays import Array

from ...core.configurations import Space
from ...core.study import StudyRecord
from ..model.encoding import UnitCube
from ..model.rank_scores import ranked
from ..model.trial_cost import TrialCostModel
from ..study.optuna_records import CostOf, PastStudy, record_of, state_of, trial_records
from ..study.search_space import NO_FIT, distributions, fit, spec_of
from ..study.trial_worth import NextTrialWorth
from .portfolio import PORTFOLIO_SIZE, PriorConfig, choose

MIN_COMPLETED_TRIALS = 6  # fewer say nothing of what is still to be gained. Not tuned

if TYPE_CHECKING:
    from .acquisition import Search, TriedTrials


class TransferSampler(BaseSampler):
    """Tries a few configurations of past studies, one at random, then what is expected to improve most.

    What is expected is predicted from past studies and this one's trials together (``transfer_gp``), as long as past
    studies make this one's results likelier than knowing nothing; else from this one's trials alone. Only the order of
    results counts, so that scales and directions do not matter. Spaces may overlap only partly, and be conditional.
    """

    def __init__(
        self,
        history: Sequence[PastStudy | StudyRecord] = (),
        seed: int | None = None,
        *,
        portfolio_size: int = PORTFOLIO_SIZE,
        space: Space | None = None,
        cost_of: CostOf | None = None,
    ) -> None:
        """Args:
            history: finished studies.
            portfolio_size: configurations of past studies to try first, at most.
            space: the new study's space as in a job file, where it is known beforehand: the portfolio is then chosen
                for it, and a parameter with ``when`` is proposed only with the values that it depends on. Otherwise the
                first trials fit each past value when it is asked for, and the space is that of the trials so far.
            cost_of: what a trial that is over has cost, or would have without early stopping, in any unit; None where
                that is not known. With it, what is tried next is what is expected to improve most for its cost, which
                is learned from past studies too. Without it trials are counted, whatever they cost.

        Raises:
            ValueError: a past study has more than one objective.
        """
        self._seed = random.SystemRandom().getrandbits(31) if seed is None else seed
        self._history = [
            study if isinstance(study, StudyRecord) else record_of(study, i, cost_of) for i, study in enumerate(history)
        ]
        self._space, self._cost_of = space, cost_of
        known = _union(self._history) if space is None else space
        self._portfolio = choose(self._history, known, portfolio_size, by_cost=cost_of is not None)
        self._spaces: dict[str, _SpaceState] = {}

    def prior(self, number: int) -> PriorConfig | None:
        """The past configuration that the trial of this number tries; None if the sampler proposes by itself."""
        return self._portfolio[number] if number < len(self._portfolio) else None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        is_random = trial.number == len(self._portfolio)  # a test of the past
        if self.prior(trial.number) is not None or (is_random and (self._cost_of is None or not trial.number)):
            return {}
        if self._space is not None:
            return distributions(self._space)
        space: dict[str, BaseDistribution] = {}
        for each in study.get_trials(deepcopy=False):
            space.update(each.distributions)
        return {name: dist for name, dist in space.items() if not dist.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        from spotwise.cost_models.blas_threads import one_thread

        with one_thread(with_scipy=True):
            known = self._in({name: self._spec(name, dist) for name, dist in search_space.items()})
            others = [each for each in study.get_trials(deepcopy=False) if each.number != trial.number]
            goal = "maximize" if study.direction == StudyDirection.MAXIMIZE else "minimize"
            rng = np.random.default_rng([self._seed, 1 + trial.number])
            tried = self._tried(others, goal, known)
            at_random = trial.number == len(self._portfolio)
            row = known.search.at_random(tried, rng) if at_random else known.search.propose(trial.number, tried, rng)
            return known.cube.config(row)

    def expected(self, study: Study) -> NextTrialWorth | None:
        """What the next trial is expected to improve, and to cost.

        None while fewer than six trials are completed: nothing can be said yet.
        """
        seen = study.get_trials(deepcopy=False)
        space = self._space or {name: spec_of(dist) for t in seen for name, dist in t.distributions.items()}
        values = sorted(t.value for t in seen if t.state == TrialState.COMPLETE and t.value is not None)
        if len(values) < MIN_COMPLETED_TRIALS:
            return None
        from spotwise.cost_models.blas_threads import one_thread

        with one_thread(with_scipy=True):
            in_space = self._in(space)
            goal = "maximize" if study.direction == StudyDirection.MAXIMIZE else "minimize"
            number = max(trial.number for trial in seen) + 1
            tried = self._tried(seen, goal, in_space)
            found = in_space.search.scored_rows(number, tried, np.random.default_rng([self._seed, 1 + number]))
        if found is None:
            return None
        best_first = np.array(values[::-1] if goal == "maximize" else values)
        choice = found.choice(number)
        gain = max(0.0, float(found.improvement[choice])) * _value_of_a_score(best_first, found.scores)
        known = tried.costs[np.isfinite(tried.costs)]
        return NextTrialWorth(gain, float(found.cost[choice] / known.mean()) if len(known) else 1.0)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        prior = self.prior(trial.number)
        known = NO_FIT if prior is None else prior.params.get(param_name, NO_FIT)
        fitted = NO_FIT if known is NO_FIT else fit(spec_of(param_distribution), known)
        if fitted is not NO_FIT:
            return fitted
        # A seed of its own for every trial and parameter: the same after a restart, in any order, in any thread.
        seed = random.Random(f"{self._seed}/{trial.number}/{param_name}").getrandbits(31)  # noqa: S311 - no secret
        return RandomSampler(seed=seed).sample_independent(study, trial, param_name, param_distribution)

    def _spec(self, name: str, dist: BaseDistribution) -> dict[str, Any]:
        """A distribution as the job file writes it, with what it depends on, which Optuna's do not say."""
        when = (self._space or {}).get(name, {}).get("when")
        return {**spec_of(dist), "when": when} if when else spec_of(dist)

    def _in(self, space: Space) -> _SpaceState:
        from ..model.past_studies import (
            PastStudies,  # SciPy takes a while to load, and the first trials need none of it
        )
        from .acquisition import Search

        key = repr(sorted(space.items()))
        if key not in self._spaces:
            cube = UnitCube(dict(sorted(space.items())))  # in whatever order parameters come, a restart's too
            costs = None if self._cost_of is None else TrialCostModel(self._history, cube)
            self._spaces[key] = _SpaceState(cube, Search(cube, PastStudies(self._history, cube), self._seed, costs))
        return self._spaces[key]

    def _tried(self, trials: Sequence[FrozenTrial], goal: str, known: _SpaceState) -> TriedTrials:
        from .acquisition import TriedTrials

        over = {trial.number: trial for trial in _without_retried(trials)}
        best_first = ranked(trial_records(over.values(), self._cost_of), goal)
        pending = [trial.params for trial in trials if state_of(trial) is None]
        return TriedTrials(
            rows=known.rows([over[trial.number] for trial in best_first]),
            numbers=np.array([trial.number for trial in best_first], dtype=float),
            pending=known.cube.rows([params for params in pending if params]),
            costs=np.array([trial.seconds or np.nan for trial in best_first]),
        )


class _SpaceState:
    """What is kept of one space between rounds: all of it could be worked out again."""

    def __init__(self, cube: UnitCube, search: Search) -> None:
        self.cube, self.search = cube, search
        self._rows: dict[int, tuple[Mapping[str, Any], Array]] = {}  # by number, with the parameters that they are of

    def rows(self, trials: Sequence[FrozenTrial]) -> Array:
        """Of trials that are over."""
        for trial in trials:
            if trial.number not in self._rows or self._rows[trial.number][0] != trial.params:
                self._rows[trial.number] = trial.params, self.cube.rows([trial.params])[0]
        return np.array([self._rows[trial.number][1] for trial in trials]).reshape(len(trials), len(self.cube.space))


def _value_of_a_score(values: Array, scores: Array) -> float:
    """How much values differ where scores differ by one, among the better half. Both best first."""
    place = max(2, len(values) // 2)
    apart = float(scores[place] - scores[0])
    return abs(float(values[place] - values[0])) / apart if apart > 0.0 else 0.0


def _without_retried(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """A failed trial that was tried again (after a preemption, say) tells nothing of its configuration."""
    failed = TrialState.FAIL
    if all(trial.state != failed for trial in trials):
        return list(trials)
    others = {_key(trial.params) for trial in trials if trial.state != failed}
    return [trial for trial in trials if trial.state != failed or (trial.params and _key(trial.params) not in others)]


def _key(params: Mapping[str, Any]) -> str:
    return repr(sorted(params.items()))


def _union(past: Sequence[StudyRecord]) -> Space:
    """All past parameters; the newest study's bounds where several have one."""
    return {name: spec for study in past for name, spec in study.space.items()}
