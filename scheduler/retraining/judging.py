"""From a run that ended to an outcome: the gate's verdict, and the promotion if it says so. Repeatable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from ..core.errors import ExitCode
from ..core.run import RunState
from .gate import GateDecision, Score, judge
from .manifest import CorruptCheckpointError
from .occurrences import OccurrenceOutcome
from .registry import ModelVersion, Registry
from .terms import RetrainingTerms


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """What became of a run."""

    run_id: str
    state: RunState  # a final one
    metrics: Mapping[str, float]  # of the epoch that is judged
    checkpoint_folder: Path | None  # that epoch's committed checkpoint
    cost_usd: Decimal | None  # None where it could not be priced
    reason: str = ""  # why it ended as it did


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gate said about a run's model; kept also for models that were not promoted."""

    model: str
    version: str  # the run's id
    metric: str
    value: float | None  # None: not reported, or not a number
    champion_value: float | None  # of the champion it was compared with; None for the first
    promoted: bool
    reason: str
    judged_at: datetime


@dataclass(frozen=True, slots=True)
class OccurrenceEnd:
    """How an occurrence is to be finished."""

    outcome: OccurrenceOutcome
    exit_code: ExitCode
    reason: str
    judgement: Judgement | None = None  # None: no model to judge


def failed(reason: str) -> OccurrenceEnd:
    """The occurrence ended without a model to judge."""
    return OccurrenceEnd(OccurrenceOutcome.FAILED, ExitCode.RUN_FAILED, reason)


def unsuccessful(run: FinishedRun) -> OccurrenceEnd:
    """The ending of a run that did not complete."""
    reason = f"run {run.run_id} {run.state}" + (f": {run.reason}" if run.reason else "")
    # Stopped means that the budget ended: nothing crashed, the terms were too small.
    code = ExitCode.REFUSED if run.state is RunState.STOPPED else ExitCode.RUN_FAILED
    return OccurrenceEnd(OccurrenceOutcome.FAILED, code, reason)


def judge_and_promote(run: FinishedRun, terms: RetrainingTerms, registry: Registry, now: datetime) -> OccurrenceEnd:
    """Judge a completed run's model against the champion and promote it if it is better.

    Raises:
        StoreError: the registry cannot be read or written; nothing was half done.
    """
    champion = registry.champion(terms.model)
    if champion is not None and champion.run_id == run.run_id:
        return _promoted_already(champion, run, terms, registry, now)
    ending = _act(_verdict(run, champion, terms), run, terms, registry, now)
    return replace(ending, judgement=_judgement(ending, run, terms, champion, now))


def _promoted_already(
    champion: ModelVersion, run: FinishedRun, terms: RetrainingTerms, registry: Registry, now: datetime
) -> OccurrenceEnd:
    """A crash came behind the promotion: judged once more against the champion before it, repeating gives the same."""
    before = next((v for v in registry.history(terms.model) if v.version == champion.previous), None)
    verdict = _verdict(run, before, terms)
    since = "" if verdict.promote else "promoted before a restart; by the gate as it stands now: "
    ending = OccurrenceEnd(OccurrenceOutcome.PROMOTED, ExitCode.DONE, f"{since}{verdict.reason}")
    judgement = _judgement(ending, run, terms, before, now)
    return replace(ending, judgement=replace(judgement, metric=champion.metric, value=champion.value))


def _verdict(run: FinishedRun, champion: ModelVersion | None, terms: RetrainingTerms) -> GateDecision:
    value = run.metrics.get(terms.metric)
    candidate = None if value is None else Score(terms.metric, float(value), terms.goal, run.run_id)
    best = None if champion is None else Score(champion.metric, champion.value, champion.goal, champion.version)
    return judge(candidate, best, terms.metric, terms.goal, terms.min_improvement)


def _act(
    verdict: GateDecision, run: FinishedRun, terms: RetrainingTerms, registry: Registry, now: datetime
) -> OccurrenceEnd:
    if not verdict.promote:
        return OccurrenceEnd(OccurrenceOutcome.KEPT, ExitCode.DONE, verdict.reason)
    if run.checkpoint_folder is None:
        return failed(f"run {run.run_id} completed without a committed checkpoint: nothing to promote")
    version = ModelVersion(
        model=terms.model,
        version=run.run_id,
        run_id=run.run_id,
        metric=terms.metric,
        value=float(run.metrics[terms.metric]),
        goal=terms.goal,
        created_at=now,
        cost_usd=run.cost_usd,
    )
    try:
        registry.promote(version, run.checkpoint_folder)
    except CorruptCheckpointError as corrupt:
        return failed(f"not promoted, the champion stays: {corrupt}")
    return OccurrenceEnd(OccurrenceOutcome.PROMOTED, ExitCode.DONE, verdict.reason)


def _judgement(
    ending: OccurrenceEnd, run: FinishedRun, terms: RetrainingTerms, before: ModelVersion | None, now: datetime
) -> Judgement:
    value = run.metrics.get(terms.metric)
    return Judgement(
        model=terms.model,
        version=run.run_id,
        metric=terms.metric,
        value=value if value is not None and math.isfinite(value) else None,
        champion_value=before.value if before else None,
        promoted=ending.outcome is OccurrenceOutcome.PROMOTED,
        reason=ending.reason,
        judged_at=now,
    )
