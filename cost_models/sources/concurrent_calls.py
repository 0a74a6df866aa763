"""Several calls of a source at once, none of which is waited for longer than the time that there is.

Time-outs of HTTP clients do not bound a call: they count from one packet to the next, and names, proxies, programs that
give credentials have others or none. So each call runs in a thread that may be left behind; it ends with the program.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .base import Row

_AT_ONCE = 8  # requests that a cloud gets from us at a time
_PLACES_NAMED = 3  # of those where a reason holds
_MOST_S = 3600.0  # what is more is no limit: locks cannot wait for infinity

Question = Callable[[], None]


class TimeLimit:
    """When answers are no longer waited for."""

    def __init__(self, limit_s: float, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._end = steady() + (min(limit_s, _MOST_S) if limit_s > 0 else 0.0)  # NaN: no time

    @property
    def left_s(self) -> float:
        """Seconds until then, at least 0."""
        return max(0.0, self._end - self._steady())


@dataclass(slots=True)
class CallAnswer:
    """What one call has said so far: it holds what came before a fault."""

    deadline: TimeLimit  # nothing more is asked for after it
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)  # what it left out, and why


@dataclass(frozen=True, slots=True)
class Call:
    """One question to a cloud, of one or more requests."""

    subject: str  # for people: "spot prices in us-east-1"
    ask: Callable[[CallAnswer], None]


def ask_within(questions: Sequence[Question], deadline: TimeLimit, at_once: int = _AT_ONCE) -> bool:
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


def ask_all(
    calls: Sequence[Call], limit_s: float, why: Callable[[Exception], str]
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Rows of all calls, and why there are not more: each reason once, with all that it keeps us from.

    Args:
        calls: in the order in which they matter, should time run out.
        limit_s: seconds after which this returns with what there is.
        why: what a fault of a call means, for people.
    """
    deadline = TimeLimit(limit_s)
    answers = [CallAnswer(deadline) for _ in calls]
    faults = dict.fromkeys(range(len(calls)), f"no answer within {limit_s:g} s")

    def question(index: int) -> Question:
        def ask() -> None:
            faults[index] = _one(calls[index], answers[index], why)

        return ask

    ask_within([question(index) for index in range(len(calls))], deadline)
    rows = tuple(row for answer in answers for row in tuple(answer.rows))
    left_out = [
        f"{call.subject}: {text}" for call, each in zip(calls, answers, strict=True) for text in tuple(each.skipped)
    ]
    return rows, (*_joined(calls, dict(faults)), *left_out)


def _one(call: Call, answer: CallAnswer, why: Callable[[Exception], str]) -> str:
    """Why the call failed; empty where it did not."""
    try:
        call.ask(answer)
    except Exception as error:  # noqa: BLE001 - clients' faults have no common base, and the other calls must be heard
        return why(error)
    return ""


def _joined(calls: Sequence[Call], faults: dict[int, str]) -> list[str]:
    subjects: dict[str, list[str]] = {}
    for index, fault in faults.items():
        if fault:
            subjects.setdefault(fault, []).append(calls[index].subject)
    return [f"{', '.join(names)}: {fault}" for fault, names in subjects.items()]


def _in(places: Sequence[str]) -> str:
    if not places:
        return ""
    more = len(places) - _PLACES_NAMED
    return f" in {', '.join(places[:_PLACES_NAMED])}{f' and {more} more' if more > 0 else ''}"
