"""What a free place is used for: a trial that waits, one that was set aside, or a new one. Reads, never writes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from ..stopping.stop_when import enough
from ..study.proposal import Proposal, Thaw
from ..study.study_state import Study, TrialPhase, TrialView
from ..study.sweep_task import SweepTask
from ..study.trial_worth import NextTrialWorth


class Proposes(Protocol):
    """What ``Proposer`` does."""

    def propose(self, study: Study) -> Proposal: ...

    def expected(self, study: Study) -> NextTrialWorth | None: ...


class Thaws(Protocol):
    """What ``FreezeThawTrials`` does, of a sweep that sets trials aside."""

    def is_due(self, trial: TrialView) -> bool: ...

    def choose(
        self, study: Study, free: Collection[int], *, may_begin: bool, running: int | None = None
    ) -> Thaw | Proposal | None: ...


class NextTrial:
    """Of one host."""

    def __init__(self, task: SweepTask, proposer: Proposes, freeze_thaw: Thaws | None) -> None:
        """``freeze_thaw``: of a sweep that sets trials aside."""
        self._task, self._proposer, self._freeze_thaw = task, proposer, freeze_thaw
        self._weighed: tuple[Study, str] | None = None  # whether another trial is worth it, of the study as it was

    def is_over(self, study: Study) -> bool:
        """Nothing runs or waits, and nothing else is to be started."""
        if self.waiting(study):
            return False
        return not self._may_begin(study) if self._freeze_thaw is None else self._choice(study) is None

    def waiting(self, study: Study) -> list[TrialView]:
        """Trials of this host that are to be continued or run already, lowest number first."""
        return [trial for trial in self._unfinished(study) if trial.phase is not TrialPhase.FROZEN]

    def frozen(self, study: Study) -> list[TrialView]:
        """Trials of this host that are set aside."""
        return [trial for trial in self._unfinished(study) if trial.phase is TrialPhase.FROZEN]

    def next(self, study: Study, taken: Collection[int]) -> Thaw | Proposal | None:
        """Where nothing waits; None if nothing may start now.

        ``taken``: trials that have a place. One that was set aside stays so until its process has started.
        """
        if self._freeze_thaw is not None:
            return self._choice(study, taken)
        return self._proposer.propose(study) if self._may_begin(study) else None

    def outbids(self, study: Study, number: int, taken: Collection[int]) -> str:
        """Why a running trial, which has just reported, is to be set aside; empty where it goes on."""
        if self._freeze_thaw is None or not self._freeze_thaw.is_due(study.trials[number]):
            return ""
        choice = self._choice(study, taken, running=number)
        if choice == Thaw(number):
            return ""
        if choice is None:
            return "set aside: nothing that is worth its cost is expected of it"
        other = "a new configuration" if isinstance(choice, Proposal) else f"trial {choice.number}"
        return f"set aside: {other} promises more for its cost"

    def enough(self, study: Study) -> str:
        """Why no other trial is worth its money; empty where one may be, none is left, or nobody says what it is."""
        rule, price = self._task.stop_when, self._task.price
        if rule is None or price is None or self._all_asked(study):
            return ""
        if self._weighed is None or self._weighed[0] is not study:
            self._weighed = study, enough(study, self._proposer.expected(study), rule, price)
        return self._weighed[1]

    def _choice(
        self, study: Study, taken: Collection[int] = (), *, running: int | None = None
    ) -> Thaw | Proposal | None:
        if self._freeze_thaw is None:
            return None
        free = {trial.number for trial in self.frozen(study) if trial.number not in taken}
        free |= {running} if running is not None else set()
        return self._freeze_thaw.choose(study, free, may_begin=self._may_begin(study), running=running)

    def _may_begin(self, study: Study) -> bool:
        return not self._all_asked(study) and not self.enough(study)

    def _all_asked(self, study: Study) -> bool:
        share = self._task.share
        return share is not None and sum(map(self._task.owns, study.trials)) >= share

    def _unfinished(self, study: Study) -> list[TrialView]:
        return [trial for trial in study.unfinished() if self._task.owns(trial.number)]
