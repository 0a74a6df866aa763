"""Studies and trials as the scheduler keeps them: plain values, no Optuna, no Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"  # a host works on it, or will continue it after a preemption
    COMPLETED = "completed"
    PRUNED = "pruned"  # early stopping ended it; its best value so far counts
    FAILED = "failed"  # its program crashed


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One configuration of a sweep and what came of it."""

    number: int  # from 0
    params: dict[str, Any]
    state: TrialState
    value: float | None = None  # the metric: last epoch's of a completed trial, else the last seen
    epoch: int = 0  # epochs done
    curve: tuple[tuple[int, float], ...] = ()  # (epoch, metric)
    source: str = "sampler"  # "prior" (taken from past studies), "sampler" or "grid"
    note: str = ""  # for a prior: which study and trial it came from; for an imported one, its folder's name
    resumes: int = 0  # how often it continued after a preemption
    restored_epochs: tuple[int, ...] = ()  # the epoch each resume continued after
    seconds: float = 0.0  # wall-clock it held capacity
    gpu_memory_gib: float | None = None  # the most that its tensors held on one GPU; None: nobody said
    cost_usd: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TaskDescription:
    """What a sweep trains on, as its job file says."""

    data: str | None = None  # name or fingerprint
    size: int | None = None  # examples


@dataclass(frozen=True, slots=True, order=True)
class TrialMachine:
    """What trials ran on."""

    cloud: str
    instance_type: str
    accelerators: str = ""  # "T4:1"; "" without any

    def __str__(self) -> str:
        name = f"{self.cloud}/{self.instance_type}"
        return f"{name} {self.accelerators}" if self.accelerators else name


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """All trials of one sweep, with what is needed to learn from them later.

    The fields with a default were added over time: a record without them is an older one.
    """

    id: str  # the run's id; of an imported study, its name where it came from
    job_name: str
    metric: str
    goal: str  # "maximize" or "minimize"
    space: dict[str, dict[str, Any]]  # as in the job file
    created_at: datetime
    labels: dict[str, str] = field(default_factory=dict)
    trials: tuple[TrialRecord, ...] = ()
    task: TaskDescription | None = None
    machines: tuple[TrialMachine, ...] = ()  # all that an attempt of it was placed on
    cost_usd: Decimal | None = None  # of the whole run: with what no trial held; None where nobody knows
    cost_basis: str = ""  # how far the costs can be trusted: the ledger's word
    priors: tuple[str, ...] = ()  # ids of the past studies that it used
    origin: str = ""  # where an imported study was read

    def best(self) -> TrialRecord | None:
        """The best completed trial; None while there is none."""
        return next(iter(self.best_trials(1)), None)

    def best_trials(self, most: int) -> tuple[TrialRecord, ...]:
        """The best completed trials, best first; of equals, the earlier one."""
        sign = -1.0 if self.goal == "maximize" else 1.0
        done = [(sign * t.value, t) for t in self.trials if t.state is TrialState.COMPLETED and t.value is not None]
        return tuple(trial for _, trial in sorted(done, key=lambda each: each[0])[:most])

    def cost_of_trials_usd(self) -> Decimal | None:
        """What its trials held; None where no trial's cost is known."""
        costs = [trial.cost_usd for trial in self.trials if trial.cost_usd is not None]
        return sum(costs, Decimal(0)) if costs else None

    def known_cost_usd(self) -> Decimal | None:
        """Of the whole run, or of its trials where an older record says no more; None where nobody knows."""
        return self.cost_of_trials_usd() if self.cost_usd is None else self.cost_usd


def shown_params(params: Mapping[str, Any]) -> str:
    """A configuration for people: ``lr=0.0397, width=88``."""
    return ", ".join(f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items())
