"""Runs and attempts: their states, and which change is allowed. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from spotwise.cost_models.offer import Offer

from ..node_agent.end_cause import EndCause
from .kept_work import KeptWork


class RunState(StrEnum):
    """Where a run stands."""

    WAITING = "waiting"  # admitted; no attempt is live
    RUNNING = "running"  # an attempt is launching or running
    COMPLETED = "completed"  # all work is done
    FAILED = "failed"  # gave up: the training program crashes, or nothing can be placed
    STOPPED = "stopped"  # stopped safely at a checkpoint, because the budget is spent
    CANCELLED = "cancelled"  # a person ended it

    @property
    def is_final(self) -> bool:
        return self in _FINAL_RUN_STATES


_FINAL_RUN_STATES = frozenset({RunState.COMPLETED, RunState.FAILED, RunState.STOPPED, RunState.CANCELLED})


class AttemptState(StrEnum):
    """Where an attempt stands; all but the first two are outcomes."""

    LAUNCHING = "launching"  # asked for; the training program has not started
    RUNNING = "running"  # the training program runs
    COMPLETED = "completed"  # the training program ended well
    PREEMPTED = "preempted"  # the market took the capacity back
    FAILED = "failed"  # the training program or its set-up crashed
    CANCELLED = "cancelled"  # ended by us for good: cancelled, or the budget is spent
    MIGRATED = "migrated"  # ended by us to continue elsewhere
    LOST = "lost"  # the machine went away, and nobody knows why
    REFUSED = "refused"  # no capacity: nothing started, nothing billed

    @property
    def is_final(self) -> bool:
        return self not in (AttemptState.LAUNCHING, AttemptState.RUNNING)


class RunKind(StrEnum):
    """What a run does."""

    TRAINING = "training"
    SWEEP = "sweep"
    RETRAINING = "retraining"


class CostBasis(StrEnum):
    """How far an amount can be trusted."""

    ESTIMATED = "estimated"  # list price x time; no bill seen yet
    EMULATED = "emulated"  # the emulated market's price: no real money
    RECONCILED = "reconciled"  # agrees with the provider's bill


@dataclass(frozen=True, slots=True)
class Attempt:
    """One placement of a run on one offer, from launch until it ends."""

    id: str  # "<run id>-a<number>"
    run_id: str
    number: int  # from 1
    offer: Offer
    nodes: int
    state: AttemptState
    reason: str  # why it was placed here
    launched_at: datetime  # billing starts here once the capacity is there
    hour_s: Decimal  # wall-clock seconds of one billed hour: 3600, less on an emulated market
    cost_basis: CostBasis
    started_at: datetime | None = None  # the training program started
    ended_at: datetime | None = None
    end_cause: EndCause | None = None  # None: not ended, or ended by a version that did not keep it
    end_reason: str = ""  # for people: nothing is decided by it
    exit_code: int | None = None
    host: int = 0  # which of a sweep's hosts it is; 0 for all else
    checkpoint_every: str = ""  # what the program is told: "2 epochs", "4.2 minutes"; "": its own default
    migrating: bool = False  # we asked it to leave in order to continue elsewhere
    landed_zone: str = ""  # where its machines came up, if the offer leaves that open and the engine found it out
    epochs_kept: int = 0  # epochs in the last committed checkpoint
    steps_kept: int = 0  # steps in it; where the program counts none, how many checkpoints it has committed

    @property
    def kept(self) -> KeptWork:
        """Progress in whatever the program counts: for the crash limit, and for all who ask whether a run gets on."""
        return KeptWork(self.epochs_kept, self.steps_kept)

    @property
    def billed(self) -> Offer:
        """What is paid for: its offer, in the zone where its machines came up."""
        pool = self.offer.pool
        return replace(self.offer, pool=replace(pool, zone=pool.zone or self.landed_zone))

    def evolve(self, **changes: object) -> Attempt:
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a job."""

    id: str
    job_name: str
    kind: RunKind
    owner: str
    team: str
    project: str
    state: RunState
    job_yaml: str  # the job file's text: a restart needs nothing else
    workdir: str  # absolute folder the job's commands run in
    folder: str  # absolute folder of progress and logs; of checkpoints too where `storage` names no other
    engine: str
    submitted_at: datetime
    storage: str = ""  # folder or URL where nodes elsewhere keep the run's files; "": its folder
    hosts: int = 1  # how many sweep hosts work on it at a time
    deadline_at: datetime | None = None
    budget_usd: Decimal | None = None
    reserved_usd: Decimal = Decimal(0)  # set aside of the team's budget until the run ends
    predicted_usd: Decimal | None = None  # the plan's expected cost
    predicted_low_usd: Decimal | None = None  # 10th percentile
    predicted_high_usd: Decimal | None = None  # 90th percentile
    predicted_hours: float | None = None
    plan_json: str = "{}"  # the plan as shown at submission
    mounts_json: str = "{}"  # the job's `file_mounts` and `storage_mounts` with whole paths: whoever supervises it,
    # wherever, uploads the same files. {}: none, or a run of an older version, whose job file says them
    code_json: str = "{}"  # which code it executes: a `CodeVersion`. {}: live, of an older version, or none
    cancel_requested: bool = False  # a person asked; set by `spotwise cancel` alone
    budget_spent: bool = False  # the supervisor stops it at the next checkpoint
    wait_until: datetime | None = None  # the policy waits for capacity
    ended_at: datetime | None = None
    end_reason: str = ""

    def evolve(self, **changes: object) -> Run:
        return replace(self, **changes)  # type: ignore[arg-type]
