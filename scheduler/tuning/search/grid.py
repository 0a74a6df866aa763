"""Each configuration of a finite space once, in order: ``sweep.search: grid``."""

from __future__ import annotations

from itertools import islice

from ...core.configurations import configurations
from ..study.proposal import Proposal
from ..study.study_state import Study
from ..study.sweep_task import SweepTask
from ..study.trial_worth import NextTrialWorth


class GridProposer:
    """Gives the trial of each number the configuration of that place, so that several hosts share them out."""

    def __init__(self, task: SweepTask) -> None:
        self._task = task

    def propose(self, study: Study) -> Proposal:
        """The next configuration of this host.

        Raises:
            StopIteration: there is none left.
        """
        number = self._task.next_number(study.trials)
        return Proposal(number, next(islice(configurations(self._task.space), number, None)), "grid")

    def expected(self, study: Study) -> NextTrialWorth | None:
        """Nothing is said of what comes next: a grid is tried whole."""
        return None
