"""Many questions to the outside at once, for no longer than was given: an answer that never comes holds nobody up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence

from .base import Row
from .concurrent_calls import TimeLimit

Question = Callable[[], None]

_PLACES_NAMED = 3


class Answers:
    """What has been answered so far. Safe to be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[Row] = []
        self._skipped: dict[tuple[str, str], list[str]] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows, in the order in which they come."""
        kept = tuple(rows)
        with self._lock:
            self._rows.extend(kept)

    def skip(self, what: str, because: str, where: str = "") -> None:
        """Keep why ``what`` was not answered; one reason that holds in many places is told once."""
        with self._lock:
            places = self._skipped.setdefault((what, because), [])
            if where and where not in places:
                places.append(where)

    def rows(self) -> tuple[Row, ...]:
        """The rows so far, in an order of their own: threads answer as they please."""
        with self._lock:
            return tuple(sorted(self._rows, key=repr))

    def skipped(self) -> tuple[str, ...]:
        """The reasons so far, for people."""
        with self._lock:
            return tuple(
                f"{what}{_in(sorted(places))}: {because}" for (what, because), places in sorted(self._skipped.items())
            )


def ask_within(questions: Sequence[Question], deadline: TimeLimit, at_once: int = 8) -> bool:
    """Ask all questions, ``at_once`` of them at a time; whether all were asked and answered before ``deadline``.

    Whoever is late is left behind: its thread ends with the process, and nobody waits for it.

    Raises:
        Exception: what a question raised first; a question deals with the faults of the outside itself.
    """
    waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
    for question in questions:
        waiting.put(question)
    faults: list[Exception] = []

    def work() -> None:
        while deadline.left_s > 0 and not faults:
            try:
                question = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                question()
            except Exception as fault:  # noqa: BLE001 - raised below, in the thread that asked
                faults.append(fault)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(questions)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(deadline.left_s)
    if faults:
        raise faults[0]
    return waiting.empty() and not any(thread.is_alive() for thread in threads)


def _in(places: Sequence[str]) -> str:
    if not places:
        return ""
    more = len(places) - _PLACES_NAMED
    return f" in {', '.join(places[:_PLACES_NAMED])}{f' and {more} more' if more > 0 else ''}"
