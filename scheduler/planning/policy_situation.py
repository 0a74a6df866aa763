"""What a policy looks at: each fitting offer with the estimate of the work that is left on it. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from spotwise.checkpoints import Unit
from spotwise.cost_models.estimate import Estimate, estimate
from spotwise.cost_models.interval import hours_to_save
from spotwise.cost_models.offer import Offer, Pool

from ..jobfile.job_spec import JobSpec
from ..policies.base import Candidate, Situation
from .market_snapshot import MarketSnapshot
from .run_evidence import RunEvidence
from .work_estimate import WorkEstimate

LOOK_HOURS = 1 / 60  # billed; a supervisor puts a run before its policy more often than that


def make_situation(
    job: JobSpec,
    work: WorkEstimate,
    offers: Sequence[Offer],
    known: MarketSnapshot,
    now: datetime,
    *,
    deadline_at: datetime | None,
    money_left: Decimal | None,
    left: float = 1.0,
    current: Offer | None = None,
    current_age_hours: float = 0.0,
    refused: Mapping[Pool, datetime] | None = None,
    submitted_at: datetime | None = None,
    evidence: RunEvidence | None = None,
) -> Situation:
    """What a policy looks at: every fitting offer with the estimate of the work that is left on it.

    ``left`` is the share of ``work`` that is still to be done. The start of what is held is over, or nearly, so that
    an estimate, which counts from a launch, has so much longer until the deadline. ``evidence`` is what the run has
    shown; None: nothing yet, as before its start.
    """
    seen = evidence or RunEvidence()
    deadline_hours = hours_between(now, deadline_at, known.hour_s)
    started_hours = min(known.restart_hours, current_age_hours)

    def candidate(offer: Offer) -> Candidate:
        ahead = started_hours if current is not None and offer.key == current.key else 0.0
        until = None if work.hours is None or deadline_hours is None else deadline_hours + ahead
        predicted = _predicted(job, work, offer, known, left=left, deadline_hours=until, seen=seen)
        return Candidate(
            offer,
            predicted,
            known.available.get(offer.key),
            refused_at=(refused or {}).get(offer.pool) if offer.is_spot else None,
            no_capacity_at=known.no_capacity_at.get(offer.key),
            restart_hours=known.restart_hours,
            save_hours=_save_hours(predicted, known, offer, job.num_nodes * job.hosts, seen.save_hours),
            seen=known.seen.get(offer.pool) if offer.is_spot else None,
        )

    candidates = [candidate(offer) for offer in offers]
    return Situation(
        now=now,
        deadline_at=deadline_at,
        hour_s=float(known.hour_s),
        candidates=tuple(candidates),
        current=current,
        current_age_hours=current_age_hours,
        money_left_usd=money_left,
        nodes=known.nodes(job.num_nodes) * job.hosts,
        starting_hours=known.restart_hours - started_hours if current else 0.0,
        at_risk_hours=max(_at_risk_hours(candidates), seen.at_risk_hours),
        look_hours=LOOK_HOURS,
        share_done=1.0 - left,
        submitted_at=submitted_at,
        work_is_known=work.hours is not None,
        fruitless=seen.fruitless,
        fruitless_hours=seen.fruitless_hours,
        checkpoint_seen=seen.checkpoint_seen,
    )


def _predicted(
    job: JobSpec,
    work: WorkEstimate,
    offer: Offer,
    known: MarketSnapshot,
    *,
    left: float,
    deadline_hours: float | None,
    seen: RunEvidence,
) -> Estimate:
    """What the work that is left costs and takes on one offer, counted from a launch."""
    found = work.speed(known, offer)
    speed, speed_sigma = (1.0, 0.0) if found is None else (found.factor, found.sigma)
    return estimate(
        offer,
        (1.0 if work.hours is None else work.hours * left) / speed,
        known.hazard(offer),
        known.overheads,
        nodes=known.nodes(job.num_nodes) * job.hosts,
        interval_hours=_interval_hours(job, work.hours, known.hour_s, speed),
        least_interval_hours=seen.save_hours,
        deadline_hours=deadline_hours,
        rate_events=known.rate_events(offer),
        work_sigma=math.hypot(work.sigma, speed_sigma),
    )


def _save_hours(predicted: Estimate, known: MarketSnapshot, offer: Offer, nodes: int, at_least_hours: float) -> float:
    """Expected from a start on this offer until a checkpoint is committed.

    Where only the end is saved, a program that is told to leave still saves what it has: any work will do.
    """
    interval = min(predicted.checkpoint_interval_hours or 0.0, predicted.work_hours)
    lifetime = known.hazard(offer).first_of(known.nodes(nodes)).mean_lifetime_hours
    work = max(interval, min(at_least_hours, predicted.work_hours)) + known.overheads.checkpoint_hours
    return hours_to_save(known.restart_hours, work, lifetime)


def _at_risk_hours(candidates: Sequence[Candidate]) -> float:
    """Work between two checkpoints on spot capacity: what a preemption takes at worst."""
    spot = [c.estimate for c in candidates if c.offer.is_spot and c.estimate.can_finish]
    return max((min(e.checkpoint_interval_hours or 0.0, e.work_hours) for e in spot), default=0.0)


def _interval_hours(job: JobSpec, work_hours: float | None, hour_s: Decimal, speed: float) -> float | None:
    """Billed hours between checkpoints, where the job file says; None: the model's best.

    ``work_hours`` is all of the work, on the reference machine; an offer is ``speed`` times as fast.
    """
    every, work = job.checkpoint.every, job.work
    if every is None:
        return None
    if every.unit is Unit.MINUTES:
        return every.amount * 60 / float(hour_s)  # the program counts wall clock
    units = None if work is None else (work.epochs if every.unit is Unit.EPOCHS else work.steps)
    hours = work_hours if work is None or job.sweep is None else work.hours
    return every.amount * hours / units / speed if units and hours else None


def hours_between(now: datetime, then: datetime | None, hour_s: Decimal) -> float | None:
    """Billed hours; None without an end."""
    return None if then is None else (then - now).total_seconds() / float(hour_s)
