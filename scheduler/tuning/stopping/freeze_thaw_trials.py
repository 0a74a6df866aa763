"""What a sweep with ``freeze_thaw`` does next: a new trial, or one that was set aside. See ``freeze_thaw``."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from spotwise.cost_models.arrays import Array
from spotwise.cost_models.blas_threads import one_thread

from ..model.encoding import UnitCube
from ..model.fidelities import value_at
from ..model.past_studies import PastStudies
from ..model.trial_cost import TrialCostModel, seconds_of
from ..search.portfolio import choose, portfolio_size
from ..study.proposal import Proposal, Thaw
from ..study.study_state import Study, TrialPhase, TrialView
from ..study.sweep_task import SweepTask
from .freeze_thaw import FreezeThaw, Start, StartedTrials


class FreezeThawTrials:
    """Chooses for one sweep. It keeps nothing of the sweep: all it knows it is told at each call."""

    @one_thread(with_scipy=True)
    def __init__(self, task: SweepTask) -> None:
        """``task`` has a rule that freezes, and says how many epochs a whole trial has."""
        if task.early_stopping is None or task.epochs is None:
            raise ValueError(f"sweep of {task.run_id} sets no trials aside")
        self._task = task
        self._rungs = (*task.early_stopping.rungs(task.epochs * 2 // 3), task.epochs)  # near the end it pays to go on
        self._cube = UnitCube(dict(sorted(task.space.items())))
        self._first = choose(task.priors, task.space, portfolio_size(task.trials), by_cost=True)
        levels = tuple(rung / task.epochs for rung in self._rungs)
        past = PastStudies(task.priors, self._cube, levels=levels)
        rows = self._cube.rows([config.params for config in self._first])
        costs = TrialCostModel(task.priors, self._cube)
        self._freeze_thaw = FreezeThaw(self._cube, past, levels, rows, seed=task.seed or 0, costs=costs)

    def is_due(self, trial: TrialView) -> bool:
        """Whether the last report of a trial is the first at a rung, so that others may be preferred now."""
        if len(trial.curve) == 0:
            return False
        before = trial.curve[-2][0] if len(trial.curve) > 1 else 0
        return any(before < rung <= trial.epoch for rung in self._rungs[:-1])

    def choose(
        self, study: Study, free: Collection[int], *, may_begin: bool, running: int | None = None
    ) -> Thaw | Proposal | None:
        """The best use of a place. None: nothing is worth what it costs.

        Args:
            free: trials that may go on.
            may_begin: whether a new one may start.
            running: one of the free ones, whose process runs: it need not be started.
        """
        numbers = sorted(study.trials)
        started = StartedTrials(
            rows=self._cube.rows([study.trials[n].params for n in numbers]),
            results=self._results([study.trials[n] for n in numbers]),
            may_continue=np.array([n in free for n in numbers], dtype=bool),
            costs=np.array([seconds_of(study.trials[n], self._task.epochs) for n in numbers], dtype=float),  # None: NaN
            running=None if running is None else numbers.index(running),
        )
        choice = self._freeze_thaw.choose(started, may_begin=may_begin)
        if choice is None:
            return None
        return self._proposal(study, choice.row) if isinstance(choice, Start) else Thaw(numbers[choice.place])

    def _proposal(self, study: Study, row: Array) -> Proposal:
        number, place = self._task.next_number(study.trials), len(study.trials)
        prior = self._first[place] if place < len(self._first) else None
        params = self._cube.config(row)
        return Proposal(number, params, "prior" if prior else "sampler", prior.note if prior else "")

    def _results(self, trials: Sequence[TrialView]) -> Array:
        """At each rung, low is good: NaN where a trial has not come so far, infinite where it failed."""
        results = np.full((len(trials), len(self._rungs)), math.nan)
        for row, trial in zip(results, trials, strict=True):
            for column, rung in enumerate(self._rungs):
                value = value_at(trial.curve, rung)
                if value is None and trial.phase is TrialPhase.COMPLETED:
                    value = trial.value  # its program had less to do
                if value is None:
                    break
                row[column] = -self._task.sign * value
            if trial.phase in (TrialPhase.FAILED, TrialPhase.PRUNED) and np.isnan(row[0]):
                row[0] = math.inf
        return results
