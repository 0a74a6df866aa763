"""The engine contract. An engine carries decisions out and never takes one.

A crash between any two calls must leave nothing running unknown and nothing billed twice: every call is idempotent by
attempt id, and every call can be repeated by another process that knows only the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Offer, Pool

from ..core.run import Attempt, CostBasis, Run
from ..node_agent.end_cause import EndCause


class Phase(StrEnum):
    """What an engine sees of an attempt."""

    PROVISIONING = "provisioning"  # asked for, or the machine is being set up
    RUNNING = "running"  # the job's run command runs
    ENDED = "ended"
    UNKNOWN = "unknown"  # the engine could not find out this time; ask again


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """All an engine needs to start an attempt."""

    attempt_id: str  # the idempotency key: launching it twice starts it once
    run_id: str
    offer: Offer
    setup: str  # shell script, "" for none
    command: str  # shell script
    workdir: str
    folder: str  # the run's folder
    env: Mapping[str, str] = field(default_factory=dict)
    nodes: int = 1
    run_url: str = ""  # where nodes and scheduler exchange the run's files, for engines whose nodes are elsewhere
    task: Mapping[str, Any] = field(default_factory=dict)  # SkyPilot's keys of the job that spotwise does not read
    secrets: Mapping[str, str] = field(default_factory=dict)  # environment too, and never shown
    is_sweep: bool = False  # the command is the sweep host: the node needs Ray Tune
    hosts: int = 1  # sweep hosts of the run that exchange their study, this one included
    stop_after_s: float | None = None  # billed wall-clock seconds; the machine then ends it by itself, as terminate()
    stop_grace_s: float = 0.0  # does with this grace: the budget holds though no supervisor lives


@dataclass(frozen=True, slots=True)
class Handle:
    """How an engine finds an attempt again; a supervisor that restarts builds it from the attempt id."""

    attempt_id: str
    folder: str  # the run's folder
    run_url: str = ""  # where its nodes and the scheduler exchange the run's files; "": in its folder


def handle_of(run: Run, attempt: Attempt) -> Handle:
    """How the run's engine finds one of its attempts."""
    return Handle(attempt.id, run.folder, run.storage)


@dataclass(frozen=True, slots=True)
class Observation:
    """What an engine sees of one attempt. Times are the machine's own, so a supervisor that slept books the same."""

    phase: Phase
    launched_at: datetime | None = None  # billing starts
    started_at: datetime | None = None  # the run command starts
    notice_at: datetime | None = None  # a preemption notice arrived
    ended_at: datetime | None = None  # billing ends
    cause: EndCause | None = None
    exit_code: int | None = None
    message: str = ""  # for people: nothing is decided by it
    unreadable: str = ""  # for people: the first line of its files that could not be read; "": all could
    zone: str = ""  # where its machines are, if the engine found that out
    price_usd_per_hour: Decimal | None = None  # of one node there, where it is not the offer's


NEVER_LAUNCHED = Observation(Phase.ENDED, cause=EndCause.WITHDRAWN, message="never launched")


class Engine(Protocol):
    """Carries decisions out: ``local`` (this machine), ``skypilot`` (any cloud, Kubernetes, Slurm)."""

    name: str
    hour_s: Decimal  # wall-clock seconds of one billed hour
    cost_basis: CostBasis
    one_machine: bool  # True: whatever the offer, all runs on this machine: at its speed, as one node

    def offers(self) -> list[Offer]:
        """What can be bought at all: every offer with its price now, available or not."""
        ...

    def available(self) -> dict[str, bool]:
        """What the engine knows of availability now, by offer key; offers missing here are unknown."""
        ...

    def stated_belief(self, pool: Pool) -> HazardBelief | None:
        """What this engine's market itself states about preemptions in a pool; None if it states nothing."""
        ...

    def launch(self, request: LaunchRequest) -> Handle:
        """Start an attempt; idempotent by ``request.attempt_id``. Returns at once.

        Raises:
            CapacityError: no capacity here now; nothing was started.
            EngineError: the request cannot be carried out at all.
        """
        ...

    def observe(self, handles: Sequence[Handle]) -> dict[str, Observation]:
        """What is known of these attempts, by attempt id; one batched call for all.

        An attempt that never was launched is ``ENDED`` with cause ``WITHDRAWN``.
        """
        ...

    def terminate(self, handle: Handle, *, grace_s: float) -> None:
        """Ask the attempt to save and leave, and end it after ``grace_s`` seconds. Idempotent; returns at once.

        Terminating an attempt that was never launched makes sure that it never will be.
        """
        ...

    def logs(self, handle: Handle, *, tail: int | None = None, node: int = 0) -> Iterator[str]:
        """The lines that a node of the attempt has printed so far; only the last ``tail`` if given."""
        ...
