"""What a sweep tries next: an Optuna study rebuilt from the events, asked once."""

from __future__ import annotations

from datetime import UTC, datetime

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from ...core.configurations import active_params
from ..model.trial_cost import seconds_of
from ..study.optuna_records import STATE_OF_OPTUNAS
from ..study.proposal import Proposal
from ..study.search_space import distributions
from ..study.study_state import Study, TrialView
from ..study.sweep_task import SweepTask
from ..study.trial_worth import NextTrialWorth
from .portfolio import portfolio_size
from .transfer_sampler import TransferSampler

_OPTUNAS_STATE = {ours: optunas for optunas, ours in STATE_OF_OPTUNAS.items()}
_COST = "cost"
_BEGIN = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # Optuna wants a naive start time and never uses it here


class Proposer:
    """Proposes configurations for one sweep. It keeps nothing of the sweep: all it knows it is told at each call."""

    def __init__(self, task: SweepTask) -> None:
        self._task = task
        self._direction = StudyDirection.MAXIMIZE if task.goal == "maximize" else StudyDirection.MINIMIZE
        self._space = distributions(task.space)
        self._sampler = TransferSampler(
            task.priors,
            seed=task.seed,
            portfolio_size=portfolio_size(task.trials),
            space=task.space,
            cost_of=lambda trial: trial.user_attrs.get(_COST),
        )

    def propose(self, study: Study) -> Proposal:
        """The next configuration, given all trials so far; those that still run count as taken."""
        number = self._task.next_number(study.trials)
        memory = self._memory(study, number)
        params = active_params(self._task.space, memory.ask(fixed_distributions=self._space).params)
        prior = self._sampler.prior(number)
        return Proposal(number, params, "prior" if prior else "sampler", prior.note if prior else "")

    def expected(self, study: Study) -> NextTrialWorth | None:
        """What the next trial is expected to improve the metric by, and to cost; None while nothing can be said."""
        return self._sampler.expected(self._memory(study, self._task.next_number(study.trials)))

    def _memory(self, study: Study, number: int) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        memory = optuna.create_study(direction=self._direction, sampler=self._sampler)
        ahead = iter(trial for n, trial in sorted(study.trials.items()) if n > number)  # of hosts that are faster
        for n in range(number):
            memory.add_trial(self._frozen(study.trials.get(n) or next(ahead, None)))
        return memory

    def _frozen(self, trial: TrialView | None) -> FrozenTrial:
        """A trial as Optuna keeps it; a number without events is a failed trial, which samplers pass over."""
        if trial is None:
            return create_trial(state=TrialState.FAIL)
        state = _OPTUNAS_STATE.get(trial.phase.state, TrialState.RUNNING)
        cost = seconds_of(trial, self._task.epochs)
        frozen = create_trial(
            state=TrialState.FAIL if state is TrialState.RUNNING else state,
            value=trial.value if state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
            params=trial.params,
            distributions={name: self._space[name] for name in trial.params},
            intermediate_values=dict(trial.curve),
            user_attrs={} if cost is None else {_COST: cost},
        )
        if state is TrialState.RUNNING:
            frozen.state, frozen.datetime_start, frozen.datetime_complete = state, _BEGIN, None
        return frozen
