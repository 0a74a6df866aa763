"""What the rounds know of each attempt beside its files, and what SkyPilot's books say."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime

from ...node_agent.task import NodeTask
from ..base import Handle, LaunchRequest, Observation
from .decide import CloserLook
from .files import AttemptFiles, Journal, JournalEntry
from .landing import LandingInquiry
from .sky import Cluster, Failure, RequestState, SkyUnreachableError


@dataclass(frozen=True, slots=True)
class SkyPilotState:
    """What SkyPilot's books say, read once a round."""

    clusters: Mapping[str, Cluster]
    requests: Mapping[str, RequestState]


@dataclass
class Watched:
    """An attempt that somebody observes, and what this thread has found out about it."""

    handle: Handle
    asked_at_s: float  # steady clock: when somebody last asked for it
    request: LaunchRequest | None = None  # all that a launch needs; known only to whoever launches
    task: NodeTask | None = None
    journal: Journal | None = None
    seen: Observation | None = None
    heard: bytes = b""
    heard_at: datetime | None = None
    heard_at_s: float = 0.0
    closer: CloserLook | None = None
    looked_at_s: float = -1e9
    look_fault: SkyUnreachableError | None = None
    failure: Failure | None = None
    gone_at: datetime | None = None
    recorded_at: datetime | None = None  # when SkyPilot first wrote of the cluster that it has now
    errand: Future[None] | None = None  # a launch or a closer look that is under way
    landing: LandingInquiry = field(default_factory=LandingInquiry)
    files: AttemptFiles = field(init=False)

    def __post_init__(self) -> None:
        self.files = AttemptFiles(self.handle)

    def note(self, name: JournalEntry, now: datetime, **data: object) -> None:
        """Write into the journal what is done or decided."""
        event = self.files.note(name, now, **data)
        self.journal = (self.journal or Journal()).after(event)
