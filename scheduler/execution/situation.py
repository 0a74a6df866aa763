"""What a placement decision is made from: the market as it is known, the work and the money that are left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from spotwise.cost_models.offer import Offer, Pool

from ..core.clock import Clock
from ..core.event_kind import EventKind
from ..core.run import Attempt, AttemptState, Run, RunKind
from ..engines.base import Engine
from ..jobfile.job_spec import JobSpec
from ..jobfile.settings import Settings
from ..node_agent.end_cause import EndCause
from ..planning.market_snapshot import MarketSnapshot, gather
from ..planning.measured_work import read_measured_runs
from ..planning.observed_speed import ObservedWork, learned, observed_sweep, observed_work, report_share, seen_on
from ..planning.past_attempts import PastAttempts, read_past_attempts
from ..planning.plan import fit
from ..planning.policy_situation import make_situation
from ..planning.run_evidence import evidence_of
from ..planning.start_estimate import expected_hours
from ..planning.work_estimate import MeasuredRuns, WorkEstimate, as_planned, measure, overhead_hours, work_of
from ..policies.base import Decision, Move, Situation
from ..store import Store
from .money_left import MoneyReader
from .workloads import Workload

MARKET_S = 0.4  # wall clock; within a round of the supervisor
HISTORY_S = 10.0  # wall clock; what past runs teach does not change faster


class SituationReader:
    """Gathers what policies look at. Reads the store and the engine; changes nothing."""

    def __init__(self, store: Store, engine_named: Callable[[str], Engine], settings: Settings, clock: Clock) -> None:
        self._store, self._engine_named = store, engine_named
        self._settings, self._clock = settings, clock
        self.money = MoneyReader(store, engine_named, settings, clock)
        self._attempts: dict[str, tuple[datetime, PastAttempts]] = {}  # by engine: when read, and what was seen
        self._measured: dict[tuple[str, RunKind, str], tuple[datetime, MeasuredRuns]] = {}  # by engine, kind, job file
        self._markets: dict[str, tuple[datetime, MarketSnapshot]] = {}  # by engine: when asked, and the answer

    def situation(
        self, run: Run, job: JobSpec, workload: Workload, attempts: Sequence[Attempt], live: Attempt | None
    ) -> tuple[Situation, MarketSnapshot]:
        """What the policy of a run looks at now."""
        now, progress = self._clock.now(), workload.progress()
        given_up = self._given_up(run, attempts)
        evidence = evidence_of(attempts, workload.points(), progress.kept, now, given_up)
        known = self._known(run.engine)
        seen = self._measured_for(run, known)
        # This run's own attempts are newer than the past that is kept.
        newest = {a.id: a for a in (*self._past(run.engine).recent, *attempts)}
        known = known.with_refusals(newest.values(), now, self._settings.cooldown_hours)
        known = known.with_overhead(overhead_hours(run.kind, seen))
        known = known.with_overhead(expected_hours(evidence.starts, known.restart_hours))
        planned = as_planned(work_of(job, measure(run.job_yaml, seen)), run.plan_json)
        observed = _observed(job, planned, known, attempts, workload=workload, now=now)
        work = learned(planned, observed, is_sweep=job.sweep is not None)
        if job.sweep is None:
            work = _on_newest(work, observed, known, attempts)
        money = self.money.left(run, attempts)
        offers = still_offered(fit(job, work, known)[0], attempts)
        situation = make_situation(
            job,
            work,
            spread(offers, attempts, known) if live is None else as_billed(offers, live),
            known,
            now,
            deadline_at=run.deadline_at,
            left=1.0 - max(progress.fraction, evidence.kept_share),
            money_left=None if money is None else money.usd,
            current=None if live is None else live.offer,
            current_age_hours=0.0 if live is None else _age_hours(live, now),
            refused=_refused(attempts),
            submitted_at=run.submitted_at,
            evidence=evidence,
        )
        return situation, known

    def _given_up(self, run: Run, attempts: Sequence[Attempt]) -> dict[str, datetime]:
        """When starts were given up to continue elsewhere, by attempt."""
        ids = {attempt.id for attempt in attempts if attempt.migrating and attempt.state is AttemptState.REFUSED}
        events = self._store.events(run.id) if ids else ()
        told = ((e.attempt_id, e.at) for e in events if e.kind == EventKind.MIGRATING)
        return {attempt_id: at for attempt_id, at in told if attempt_id in ids and attempt_id is not None}

    def _known(self, engine: str) -> MarketSnapshot:
        """What is known of an engine's market; asked once for all runs of a round."""
        now = self._clock.now()
        read_at, known = self._markets.get(engine, (None, None))
        if known is None or read_at is None or now - read_at > timedelta(seconds=MARKET_S):
            known = gather(
                self._engine_named(engine),
                self._past(engine),
                self._settings.overheads,
                now,
                cooldown_hours=self._settings.cooldown_hours,
            )
            self._markets[engine] = (now, known)
        return known

    def _past(self, engine: str) -> PastAttempts:
        now = self._clock.now()
        if engine not in self._attempts or _is_stale(self._attempts[engine][0], now):
            hour_s, cooldown = self._engine_named(engine).hour_s, self._settings.cooldown_hours
            self._attempts[engine] = (now, read_past_attempts(self._store, hour_s, now, cooldown))
        return self._attempts[engine][1]

    def _measured_for(self, run: Run, known: MarketSnapshot) -> MeasuredRuns:
        now, key = self._clock.now(), (run.engine, run.kind, run.job_yaml)
        self._measured = {each: kept for each, kept in self._measured.items() if not _is_stale(kept[0], now)}
        if key not in self._measured:
            what = {"job_name": run.job_name, "job_yaml": run.job_yaml}
            self._measured[key] = (now, read_measured_runs(self._store, known, **what, kind=run.kind))
        return self._measured[key][1]


def _is_stale(read_at: datetime, now: datetime) -> bool:
    return now - read_at > timedelta(seconds=HISTORY_S)


def checkpoint_every(job: JobSpec, offer: Offer, situation: Situation) -> str:
    """What the training program is told: the job file's interval, or for ``auto`` the model's best on this offer.

    The best interval is in billed hours; a program counts minutes of wall clock.
    """
    if job.checkpoint.every is not None:
        return str(job.checkpoint.every)
    estimates = (c.estimate for c in situation.candidates if c.offer == offer)
    hours = next((estimate.checkpoint_interval_hours for estimate in estimates), None)
    return "" if hours is None else f"{max(hours * situation.hour_s / 60, 0.01):.2f} minutes"


def spread(offers: Sequence[Offer], attempts: Sequence[Attempt], known: MarketSnapshot) -> list[Offer]:
    """The offers without the spot pools that other hosts of the run are in, where another one may have capacity.

    Machines of one pool are taken back together: hosts in different pools are not lost all at once.
    """
    taken = {attempt.offer.pool for attempt in attempts if not attempt.state.is_final}
    apart = [offer for offer in offers if offer.pool not in taken or not offer.is_spot]
    some = any(offer.is_spot and known.available.get(offer.key) is not False for offer in apart)
    return apart if some else list(offers)


def _observed(
    job: JobSpec,
    work: WorkEstimate,
    known: MarketSnapshot,
    attempts: Sequence[Attempt],
    *,
    workload: Workload,
    now: datetime,
) -> ObservedWork | None:
    """All of a run's work by its own speed. Hours without a reference are those of the newest machine's kind."""
    newest = _newest_offer(attempts)
    accelerator = None if newest is None else newest.accelerator

    def speed(offer: Offer) -> float | None:
        comparable = known.one_machine or work.reference is not None or offer.accelerator == accelerator
        found = work.speed(known, offer) if comparable else None
        return None if found is None else found.factor

    if job.sweep is not None:
        return observed_sweep(job, workload.paces(), attempts, speed)
    return observed_work(attempts, workload.points(), speed, now, report_share=report_share(job))


def _on_newest(
    work: WorkEstimate, observed: ObservedWork | None, known: MarketSnapshot, attempts: Sequence[Attempt]
) -> WorkEstimate:
    """In hours of the newest machine's kind, once the run was seen there: speeds elsewhere are predicted from it."""
    newest = _newest_offer(attempts)
    found = None if newest is None or known.one_machine else work.speed(known, newest)
    return work if newest is None or found is None else seen_on(work, observed, newest.accelerator, found.factor)


def _newest_offer(attempts: Sequence[Attempt]) -> Offer | None:
    return next((a.offer for a in reversed(attempts) if a.started_at is not None), None)


def once_placed(decision: Decision, situation: Situation) -> Situation:
    """How a run that held nothing stands once a decision is carried out."""
    if not isinstance(decision, Move):
        return situation
    restart_hours = next((c.restart_hours for c in situation.candidates if c.offer == decision.offer), 0.0)
    return replace(situation, current=decision.offer, current_age_hours=0.0, starting_hours=restart_hours)


def still_offered(offers: Sequence[Offer], attempts: Sequence[Attempt]) -> list[Offer]:
    """The offers without those that do not take the run's task as it is: they would give the same answer again."""
    refused = {attempt.offer.key for attempt in attempts if attempt.end_cause is EndCause.NOT_OFFERED}
    return [offer for offer in offers if offer.key not in refused]


def as_billed(offers: Sequence[Offer], live: Attempt) -> list[Offer]:
    """The offers, what is held among them at the price that is paid for it where it landed."""
    held = live.offer if live.landed_zone else None
    return [held if held is not None and offer.key == held.key else offer for offer in offers]


def _age_hours(attempt: Attempt, now: datetime) -> float:
    return max(0.0, (now - attempt.launched_at).total_seconds()) / float(attempt.hour_s)


def _refused(attempts: Sequence[Attempt]) -> dict[Pool, datetime]:
    """When each pool last preempted or refused this run."""
    bad = {AttemptState.PREEMPTED, AttemptState.REFUSED, AttemptState.LOST}
    return {a.offer.pool: a.ended_at for a in attempts if a.state in bad and a.ended_at is not None}
