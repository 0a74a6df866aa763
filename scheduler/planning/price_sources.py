"""All sources asked at once: bounded in time, kept for a while, each with its age and with why it said nothing."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from spotwise.cost_models.sources.base import Reading, Source, SourceQuery

from ..core.clock import Clock
from .reading_cache import ReadingCache, question

FRESH = timedelta(minutes=15)  # spot prices change every few hours, signals of capacity sooner
SLACK_S = 1.0  # a source ends by itself within its limit; so much later nobody waits for it any more


@dataclass(frozen=True, slots=True)
class AskedSource:
    """A source, and what its answers are kept under."""

    source: Source
    pointed_to: str = ""  # the settings that its answers depend on
    is_kept: bool = True  # False: it is on this machine anyway


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What a source says to a question, maybe said some time ago."""

    name: str  # "aws"
    reading: Reading
    age: timedelta  # of the reading
    is_stale: bool = False  # older than it should be, as the source did not answer now: `reading.skipped` says why

    def age_text(self) -> str:
        """For people: ``read 3 min ago``."""
        return f"read {ago(self.age)}{', stale' if self.is_stale else ''}"


class PriceSources:
    """The sources that an installation asks."""

    def __init__(self, sources: Sequence[AskedSource], cache: ReadingCache, clock: Clock) -> None:
        self._sources, self._cache, self._clock = tuple(sources), cache, clock

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(asked.source.name for asked in self._sources)

    def ask(self, query: SourceQuery, *, refresh: bool = False) -> tuple[SourceAnswer, ...]:
        """What each source says, in their order; takes hardly longer than ``query.limit_s``, whatever sources do.

        Args:
            refresh: ask also those whose last answer is fresh.
        """
        now = self._clock.now()
        kept = {asked.source.name: self._kept(asked, query) for asked in self._sources}
        to_ask = [each for each in self._sources if refresh or not _is_fresh(kept[each.source.name], now)]
        said = _read_all(to_ask, query, now)
        return tuple(self._answer(asked, query, kept[asked.source.name], said) for asked in self._sources)

    def _kept(self, asked: AskedSource, query: SourceQuery) -> Reading | None:
        if not asked.is_kept:
            return None
        return self._cache.kept(asked.source.name, question(asked.pointed_to, query))

    def _answer(
        self, asked: AskedSource, query: SourceQuery, kept: Reading | None, said: dict[str, Reading]
    ) -> SourceAnswer:
        name, now = asked.source.name, self._clock.now()
        reading = said.get(name)
        if reading is None or (not reading.rows and reading.skipped and kept is not None):
            why = () if reading is None else reading.skipped
            old = kept or Reading(name, now)
            return SourceAnswer(name, replace(old, skipped=(*old.skipped, *why)), now - old.read_at, bool(why))
        if asked.is_kept and reading.rows:
            self._cache.keep(name, question(asked.pointed_to, query), reading)
        return SourceAnswer(name, reading, now - reading.read_at)


def _is_fresh(kept: Reading | None, now: datetime) -> bool:
    return kept is not None and timedelta() <= now - kept.read_at <= FRESH  # a clock may have been set back


def _read_all(asked: Sequence[AskedSource], query: SourceQuery, now: datetime) -> dict[str, Reading]:
    """Each in a thread that may be left behind: nobody can end a thread that hangs, and it ends with the program."""
    said = {each.source.name: _silent(each.source.name, query, now) for each in asked}
    answers: queue.SimpleQueue[tuple[str, Reading]] = queue.SimpleQueue()
    for each in asked:
        work = threading.Thread(target=_read, args=(each.source, query, now, answers), daemon=True)
        work.start()
    end = time.monotonic() + query.limit_s + SLACK_S
    for _ in asked:
        try:
            name, reading = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        said[name] = reading
    return said


def _read(source: Source, query: SourceQuery, now: datetime, answers: queue.SimpleQueue[tuple[str, Reading]]) -> None:
    try:
        reading = source.read(query, now)
    except Exception as error:  # noqa: BLE001 - one source's fault must not end the others
        reading = Reading(source.name, now, skipped=(f"it failed: {type(error).__name__}: {error}",))
    answers.put((source.name, reading))


def _silent(name: str, query: SourceQuery, now: datetime) -> Reading:
    return Reading(name, now, skipped=(f"no answer within {query.limit_s:g} s",))


def answer_json(answer: SourceAnswer) -> dict[str, Any]:
    """What a source was heard to say, without its rows."""
    return {
        "name": answer.name,
        "source": answer.reading.source,
        "read_at": answer.reading.read_at.isoformat(),
        "age_seconds": round(answer.age.total_seconds()),
        "stale": answer.is_stale,
        "rows": len(answer.reading.rows),
        "skipped": list(answer.reading.skipped),
    }


def ago(age: timedelta) -> str:
    """For people, such as ``3 min ago``."""
    minutes = int(age.total_seconds() / 60)  # towards zero: who asked may have looked at the clock just before
    if minutes < 0:
        return "in the future"  # the clock was set back
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"
