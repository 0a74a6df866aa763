"""Reads what happened, keeps messages in the outbox and delivers them, in a thread of its own: no run waits for it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Self

from ..accounting.team_month import running_usd
from ..core.clock import Clock
from ..core.errors import JobFileError, NotFoundError, SpotwiseError, UnreadableRunError
from ..core.run import Run
from ..jobfile.job_spec import parse_job
from ..jobfile.notify_spec import NotifyChannel
from ..jobfile.settings import Settings
from ..store import Store
from ..store.outbox import Outbox, OutboxEntry
from .delivery import DeliveryError, deliver
from .notices import RunNotice, budget_notices, deadline_notices, notice_of

_log = logging.getLogger(__name__)

EVERY_S = 2.0
LAST_CHANCE_S = 15.0  # what a supervisor that leaves gives to what is still to be delivered; the rest is kept


class Notifier:
    """Tells people. Any number of them may work on one store: each message is taken by one at a time."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        clock: Clock,
        env: Mapping[str, str] | None = None,
        every_s: float = EVERY_S,
    ) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._outbox = Outbox(store)
        self._env = os.environ if env is None else env
        self._every_s = every_s
        self._channels: dict[str, tuple[NotifyChannel, ...]] = {}  # of each job file's text, its own
        self._kept: set[str] = set()  # ids of messages that need not be added again
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """One more round, for what happened last; what takes longer than a while stays in the outbox."""
        self._leave.set()
        self._thread.join(LAST_CHANCE_S)

    def round(self) -> int:
        """Read, keep, deliver what is due; how many were delivered."""
        self.collect()
        return self.deliver_due()

    def collect(self) -> None:
        """Keep a message for everything new."""
        changes, read_until = self._outbox.unread_changes()
        notices = [notice for notice in map(notice_of, changes) if notice is not None]
        ended = {notice.run_id for notice in notices if notice.event == "ended"}
        active = [run for run in self._store.runs(active=True) if self._told_of(run)]
        runs = {run.id: run for run in active}
        for run_id in {notice.run_id for notice in notices} - runs.keys():
            if (run := self._run(run_id)) is not None:
                runs[run_id] = run
        for run in list(runs.values()):
            if not run.state.is_final or run.id in ended:
                notices += self._standing(run)
        told = [notice for notice in notices if notice.run_id in runs]
        entries = [entry for notice in told for entry in self._entries(runs[notice.run_id], notice)]
        new = [entry for entry in entries if entry.id not in self._kept]
        if new or changes:
            self._outbox.add(new, read_until if changes else None)
            self._kept |= {entry.id for entry in new}

    def deliver_due(self) -> int:
        """Hand over what is due, one after the other."""
        delivered = 0
        while (entry := self._outbox.claim(self._clock.now())) is not None:
            error = ""
            try:
                channel = NotifyChannel.model_validate_json(entry.channel)
                deliver(channel, json.loads(entry.message), self._env)
                delivered += 1
            except DeliveryError as fault:
                error = str(fault)
                _log.warning("%s was not delivered: %s; trying again", entry.id, error)
            self._outbox.settle(entry, self._clock.now(), error)
        return delivered

    def _work(self) -> None:
        while True:
            last = self._leave.is_set()
            try:
                self.round()
            except (SpotwiseError, OSError, ValueError) as error:
                _log.warning("notifications: %s; trying again", error)
            if last:
                return
            self._leave.wait(self._every_s)

    def _standing(self, run: Run) -> Iterable[RunNotice]:
        now = self._clock.now()
        if run.budget_usd is not None:
            attempts = self._store.attempts(run.id)
            yield from budget_notices(run, self._store.booked_usd(run.id) + running_usd(attempts, now), now)
        if run.deadline_at is not None:
            yield from deadline_notices(run, self._store.remaining(run.id), now)

    def _entries(self, run: Run, notice: RunNotice) -> list[OutboxEntry]:
        message = json.dumps(message_of(run, notice))
        entries = []
        for channel in self._told_of(run):
            if not channel.on or notice.event in channel.on:
                written = channel.model_dump_json(by_alias=True)
                digest = hashlib.sha256(written.encode()).hexdigest()[:12]
                entries.append(OutboxEntry(f"{notice.key}:{digest}", run.id, notice.at, message, written))
        return entries

    def _told_of(self, run: Run) -> tuple[NotifyChannel, ...]:
        """Channels of the settings and of the run's job file."""
        if run.job_yaml not in self._channels:
            try:
                own = parse_job(run.job_yaml, source=run.id).notify
            except JobFileError:  # said where it matters; nobody can be told
                own = ()
            self._channels[run.job_yaml] = own
        return (*self._settings.notify, *self._channels[run.job_yaml])

    def _run(self, run_id: str) -> Run | None:
        try:
            return self._store.run(run_id)
        except (NotFoundError, UnreadableRunError):  # of a model that came from elsewhere, or a damaged row
            return None


def message_of(run: Run, notice: RunNotice) -> dict[str, Any]:
    """The message as JSON. Keys are stable."""
    return {
        "format": 1,
        "id": notice.key,
        "event": notice.event,
        "run": run.id,
        "job": run.job_name,
        "owner": run.owner,
        "team": run.team,
        "project": run.project,
        "state": run.state.value,
        "at": notice.at.isoformat(),
        "text": notice.text,
    }
