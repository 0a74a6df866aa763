"""Several calls of a source at once, none of which is waited for longer than the time that there is.

Time-outs of HTTP clients do not bound a call: they count from one packet to the next, and names, proxies, programs that
give credentials have others or none. So each call runs in a thread that may be left behind; it ends with the program.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .base import Row

_AT_ONCE = 8  # requests that a cloud gets from us at a time
_MOST_S = 3600.0  # what is more is no limit: locks cannot wait for infinity


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
    waiting, ended = queue.SimpleQueue[int](), queue.SimpleQueue[tuple[int, str]]()
    for index in range(len(calls)):
        waiting.put(index)

    def work() -> None:
        while deadline.left_s:
            try:
                index = waiting.get_nowait()
            except queue.Empty:
                return
            ended.put((index, _one(calls[index], answers[index], why)))

    for _ in range(min(_AT_ONCE, len(calls))):
        threading.Thread(target=work, daemon=True).start()
    faults = dict.fromkeys(range(len(calls)), f"no answer within {limit_s:g} s")
    for _ in calls:
        try:
            index, fault = ended.get(timeout=deadline.left_s)
        except queue.Empty:
            break
        faults[index] = fault
    rows = tuple(row for answer in answers for row in tuple(answer.rows))
    left_out = [
        f"{call.subject}: {text}" for call, each in zip(calls, answers, strict=True) for text in tuple(each.skipped)
    ]
    return rows, (*_joined(calls, faults), *left_out)


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
