"""What a supervisor writes into the history of its runs, for people: the same fault again and again only once."""

from __future__ import annotations

from ..core.clock import Clock
from ..core.event_kind import EventKind
from ..core.run import Attempt, Run
from ..store import RunEvent, Store


class RunNotes:
    """Writes the events of runs. Every method raises ``StoreError`` where the store cannot be written."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._faults: dict[str, str] = {}  # by run id: the newest
        self._unreadable: dict[str, set[str]] = {}  # by run id: what was told of lines that cannot be read

    def happened(self, run: Run, kind: EventKind, message: str, attempt: Attempt | None = None) -> None:
        """Write an event."""
        self._store.note(RunEvent(run.id, self._clock.now(), kind, message, None if attempt is None else attempt.id))

    def fault(self, run: Run, message: str) -> None:
        """Something could not be done now and is tried again."""
        if self._faults.get(run.id) != message:
            self._faults[run.id] = message
            self.happened(run, EventKind.FAULT, f"{message}; trying again")

    def unreadable(self, run: Run, *lines: str) -> None:
        """A machine wrote what cannot be read. Told once, whoever supervised the run before; "" is nothing to tell."""
        told = self._unreadable.setdefault(run.id, set())
        for message in {*lines} - told - {""}:
            told.add(message)
            before = self._store.events(run.id)
            if not any((event.kind, event.message) == (EventKind.UNREADABLE, message) for event in before):
                self.happened(run, EventKind.UNREADABLE, message)

    def forget(self, run_id: str) -> None:
        """The run has ended."""
        self._faults.pop(run_id, None)
        self._unreadable.pop(run_id, None)
