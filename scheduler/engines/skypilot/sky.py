"""What this engine needs of SkyPilot, as a port: `PublicSky` speaks to SkyPilot, tests put their own in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from ...core.errors import EngineError


class SkyUnreachableError(EngineError):
    """SkyPilot's API server does not answer now: nothing is known of what it was asked to do."""


class TaskRefusedError(EngineError):
    """SkyPilot does not accept the task; nothing was started."""

    def __init__(self, message: str, *, for_good: bool = True, of_place: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good  # the task as it is: asking again changes nothing, wherever
        self.of_place = of_place  # the task in this place: asking again here changes nothing, elsewhere it may


class RequestState(StrEnum):
    """How far SkyPilot is with something that it was asked to do."""

    UNDER_WAY = "under way"
    DONE = "done"
    FAILED = "failed"
    GONE = "gone"  # cancelled, or forgotten when the server was started again


class ClusterState(StrEnum):
    """What SkyPilot knows of a cluster."""

    INIT = "init"  # being provisioned, or broken
    UP = "up"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster in SkyPilot's books."""

    name: str
    state: ClusterState
    launched_at: datetime  # moves on while it comes up


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a cluster's machines are, and what SkyPilot's cost report counts for them."""

    zone: str  # "" where the cloud has none
    price_usd_per_hour: Decimal | None  # of one node; None: SkyPilot has no price for it


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a launch failed."""

    of_capacity: bool  # whether another place or a later moment may do
    message: str
    of_request: bool = False  # the task as it is can never be launched
    of_place: bool = False  # the task as it is can not be launched in this place

    @property
    def refused(self) -> bool:
        """Whether SkyPilot said no to what it was asked for: the same again gets the same answer."""
        return self.of_request or self.of_place


class Sky(Protocol):
    """Every call may raise `SkyUnreachableError`. None waits for a cloud unless it says so."""

    def launch(self, cluster: str, task: Mapping[str, Any], autostop_minutes: int) -> str:
        """Ask for a cluster that runs this task and goes away when idle. Returns the request's id.

        Sends the task's local files along, which can take a while.

        Raises:
            TaskRefusedError: the task is not accepted.
        """
        ...

    def launches_of(self, cluster: str) -> list[str]:
        """Ids of the launches of this cluster that are under way."""
        ...

    def requests(self, ids: Sequence[str]) -> dict[str, RequestState]:
        """How far these requests are: one call for all."""
        ...

    def ended_at(self, request_id: str) -> datetime | None:
        """When this request was over, by the server's clock; None where that is not known any more."""
        ...

    def failure(self, request_id: str) -> Failure:
        """Why this launch, known as failed, did so."""
        ...

    def cancel(self, request_id: str) -> None:
        """Give up a request that is under way. What it has started so far may stay."""
        ...

    def clusters(self) -> dict[str, Cluster]:
        """All clusters in SkyPilot's books, by name: one call for all. The books may be behind the clouds."""
        ...

    def landed(self, cluster: str) -> Landing | None:
        """Where this cluster, up now or before, came up; None: that is not in SkyPilot's cost report (yet)."""
        ...

    def look_closer(self, cluster: str) -> Cluster | None:
        """Ask the cloud itself, which can take seconds. None: the cluster is gone.

        Raises:
            SkyUnreachableError: also where the cloud does not answer.
        """
        ...

    def is_idle(self, cluster: str) -> bool:
        """Whether no job runs on it any more. Asks the cluster, which can take seconds."""
        ...

    def last_lines(self, cluster: str) -> list[str]:
        """The last lines of its job's log, without empty ones. Asks the cluster, which can take seconds."""
        ...

    def down(self, cluster: str) -> str:
        """Ask for the end of a cluster. Returns the request's id."""
        ...
