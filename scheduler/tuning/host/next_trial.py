"""What a free place is used for: a trial that waits, one that was set aside, or a new one. Reads, never writes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from ..search.untried import UntriedConfigurations
from ..stopping.stop_when import enough
from ..study.early_end import EarlyEnd, EarlyEndCause
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


@dataclass(frozen=True, slots=True)
class SetAside:
    """A running trial whose place is better used otherwise."""

    by: Thaw | Proposal | None  # None: by nothing, it is not worth its own cost

    @property
    def reason(self) -> str:
        """For people."""
        if self.by is None:
            return "set aside: nothing that is worth its cost is expected of it"
        other = "a new configuration" if isinstance(self.by, Proposal) else f"trial {self.by.number}"
        return f"set aside: {other} promises more for its cost"


class NextTrial:
    """Of one host."""

    def __init__(self, task: SweepTask, proposer: Proposes, freeze_thaw: Thaws | None) -> None:
        """``freeze_thaw``: of a sweep that sets trials aside."""
        self._task, self._proposer, self._freeze_thaw = task, proposer, freeze_thaw
        self._untried = UntriedConfigurations(task.space, task.seed)
        self._weighed: tuple[Study, EarlyEnd | None] | None = None  # of the study as it was

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
        return self._fresh(self._proposer.propose(study), study) if self._may_begin(study) else None

    def outbids(self, study: Study, number: int, taken: Collection[int]) -> SetAside | None:
        """Whether a running trial, which has just reported, is to be set aside; None where it goes on."""
        if self._freeze_thaw is None or not self._freeze_thaw.is_due(study.trials[number]):
            return None
        choice = self._choice(study, taken, running=number)
        return None if choice == Thaw(number) else SetAside(choice)

    def early_end(self, study: Study) -> EarlyEnd | None:
        """Why no other trial begins although the job file allows more; None where one may, or none is left."""
        if self._all_asked(study):
            return None
        if self._untried.is_exhausted(study):
            every = f"all {self._untried.count} configurations of the space were tried"
            return EarlyEnd(EarlyEndCause.ALL_TRIED, every)
        return self._not_worth_more(study)

    def _not_worth_more(self, study: Study) -> EarlyEnd | None:
        rule, price = self._task.stop_when, self._task.price
        if rule is None or price is None:
            return None
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
        choice = self._freeze_thaw.choose(study, free, may_begin=self._may_begin(study), running=running)
        return self._fresh(choice, study) if isinstance(choice, Proposal) else choice

    def _fresh(self, proposal: Proposal, study: Study) -> Proposal:
        return self._untried.instead_of(proposal, study)

    def _may_begin(self, study: Study) -> bool:
        return not self._all_asked(study) and self.early_end(study) is None

    def _all_asked(self, study: Study) -> bool:
        share = self._task.share
        if share is None or sum(map(self._task.owns, study.trials)) < share:
            return False
        return not self._tries_every_one() or self._untried.is_exhausted(study)

    def _tries_every_one(self) -> bool:
        """Whether several hosts are to try a whole space: they may choose alike, and one would be left out."""
        most, count = self._task.trials, self._untried.count
        return self._task.hosts > 1 and most is not None and count is not None and most >= count

    def _unfinished(self, study: Study) -> list[TrialView]:
        return [trial for trial in study.unfinished() if self._task.owns(trial.number)]
