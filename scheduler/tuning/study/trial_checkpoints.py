"""Where the checkpoints of trials lie, and which of them nobody needs any more. Pure."""

from __future__ import annotations

from ...core.study import TrialState
from .study_state import Study, TrialPhase
from .sweep_task import SweepTask, TrialFolder


def trial_checkpoints_url(run_folder: str, checkpoint_to: str | None, number: int) -> str:
    """The folder or URL of one trial's checkpoints; ``checkpoint_to``: of the whole sweep, None: beside the trials."""
    if checkpoint_to:
        return f"{checkpoint_to.rstrip('/')}/trials/{number:04d}"
    return str(TrialFolder.of(run_folder, number).checkpoints)


def surplus_trials(study: Study, task: SweepTask) -> set[int]:
    """This host's trials whose checkpoints can go: those that early stopping ended, since they never go on.

    Where the job file says of how many trials they stay, also those that failed, and all but the best completed ones.
    """
    over = {number: trial for number, trial in study.trials.items() if trial.phase.is_final and task.owns(number)}
    stopped = {number for number, trial in over.items() if trial.phase is TrialPhase.PRUNED}
    if task.keep_trials is None:
        return stopped
    values = {
        number: task.sign * trial.value
        for number, trial in study.trials.items()
        if trial.phase.state is TrialState.COMPLETED and trial.value is not None
    }
    best = sorted(values, key=lambda number: (-values[number], number))[: task.keep_trials]
    return set(over) - set(best)
