"""Which node of which attempt this is, and which of the run's files are its own to write: every file has one writer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NodeName:
    """One node of one attempt."""

    attempt_id: str
    number: int  # of the attempt
    rank: int

    @property
    def attempt(self) -> str:
        """The attempt's folder."""
        return f"attempts/{self.attempt_id}"

    @property
    def state(self) -> str:
        return f"{self.attempt}/node-{self.rank}.json"

    @property
    def log(self) -> str:
        return f"{self.attempt}/log-{self.rank}.txt"

    @property
    def events(self) -> str:
        return f"{self.attempt}/events.jsonl"

    def writes(self, name: str) -> bool:
        """Whether a file is this node's to write. The first node writes for the program: progress, study, trials."""
        if name.startswith("attempts/"):
            return name in (self.state, self.log) or (self.rank == 0 and name == self.events)
        if name.startswith("study/"):
            return name == f"study/host-{self.number}.jsonl"
        return self.rank == 0
