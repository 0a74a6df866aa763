"""One nightly retraining: trigger, run, gate, promotion. Safe to start at any time, twice, and after any crash.

The order is fixed, and every step can be repeated: begin the occurrence -> submit -> wait -> promote -> record the
judgement -> finish the occurrence. The run's id follows from model and occurrence alone and is stored before anything
is submitted, so whoever continues after a crash continues that run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from ..core.clock import Clock
from ..core.errors import ExitCode, RefusedError, SpotwiseError
from ..core.run import RunState
from ..jobfile.job_spec import JobSpec
from .judging import FinishedRun, Judgement, OccurrenceEnd, judge_and_promote, unsuccessful
from .lock import LockHeldError
from .occurrences import Occurrence, OccurrenceOutcome, OccurrenceStore
from .registry import KEEP_VERSIONS, Registry
from .terms import RetrainingTerms, terms_of
from .triggers import Fired, NotFired, evaluate


@dataclass(frozen=True, slots=True)
class NightlyResult:
    """What a nightly did: its exit code and its message of one or two lines."""

    exit_code: ExitCode
    message: str
    model: str
    next_due_at: datetime
    occurrence_id: str | None = None
    run_id: str | None = None
    outcome: OccurrenceOutcome | None = None
    cost_usd: Decimal | None = None


def run_nightly(
    job: JobSpec,
    *,
    home: Path,
    clock: Clock,
    occurrences: OccurrenceStore,
    submit: Callable[[Occurrence], str],
    wait: Callable[[str], FinishedRun],
    record: Callable[[Judgement], None],
    force: bool = False,
    default_timezone: str = "UTC",
    keep_versions: int = KEEP_VERSIONS,
) -> NightlyResult:
    """Retrain if a trigger fires, and promote if the gate agrees. Returns when the run has ended.

    Args:
        job: a job with ``retrain:``.
        home: ``$SPOTWISE_HOME``; the registry lies under it.
        submit: starts the run ``occurrence.run_id`` and returns that id. Idempotent by it: a run that exists, in any
            state, is left as it is, before budget or deadline are looked at.
        wait: blocks until the run has ended; the run may have been started by another process.
        record: keeps a judgement; idempotent by model and version.
        force: retrain also when no trigger fires: the latest occurrence once more, under a new run id.
        default_timezone: of a calendar that names none.

    Raises:
        InputError: the job has no ``retrain:``, or its model or calendar cannot be.
        SpotwiseError: from ``submit``, ``wait`` or a disk; the occurrence stays begun and the next call continues it.
    """
    terms = terms_of(job, default_timezone=default_timezone)
    night = _Night(terms, Registry(home), clock, occurrences, submit, wait, record, keep_versions)
    try:
        with night.registry.lock(terms.model):
            return night.run(force=force)
    except LockHeldError as held:
        return night.nothing_to_do(str(held))


def run_id_for(model: str, occurrence_id: str, previous: str = "") -> str:
    """The id of an occurrence's run: ``digits-20261123``, then ``digits-20261123-r2`` after that one, and so on."""
    base = f"{model}-{occurrence_id.replace('-', '')}"
    if not previous:
        return base
    tries = int(previous.rpartition("-r")[2]) if previous != base else 1
    return f"{base}-r{tries + 1}"


@dataclass(frozen=True, slots=True)
class _Night:
    """The steps of one nightly, with all it acts through."""

    terms: RetrainingTerms
    registry: Registry
    clock: Clock
    occurrences: OccurrenceStore
    submit: Callable[[Occurrence], str]
    wait: Callable[[str], FinishedRun]
    record: Callable[[Judgement], None]
    keep_versions: int

    def run(self, *, force: bool) -> NightlyResult:
        continued = self._continue_unfinished()
        fired = self._evaluate()
        # What was continued is what force asked for, unless a later night is due by now.
        if isinstance(fired, NotFired) and force and continued is None:
            fired = self._by_hand()
        if isinstance(fired, NotFired):
            return continued or self.nothing_to_do(fired.reason)
        tonight = self._retrain(fired)
        return replace(tonight, message=f"{continued.message}\n{tonight.message}") if continued else tonight

    def nothing_to_do(self, reason: str) -> NightlyResult:
        next_due = self.terms.calendar.next_due(self.clock.now())
        message = f"nothing to do for {self.terms.model}: {reason}. Next due {self.terms.calendar.show(next_due)}."
        return NightlyResult(ExitCode.NOTHING_TO_DO, message, self.terms.model, next_due)

    def _evaluate(self) -> Fired | NotFired:
        model = self.terms.model
        champion, last = self.registry.champion(model), self.occurrences.last_finished(model)
        return evaluate(self.terms.calendar, self.clock.now(), last, has_champion=champion is not None)

    def _by_hand(self) -> Fired:
        due = self.terms.calendar.latest_due(self.clock.now())
        return Fired("asked for by hand (--force)", self.terms.calendar.occurrence_id(due), due)

    def _continue_unfinished(self) -> NightlyResult | None:
        begun = self.occurrences.unfinished(self.terms.model)
        if begun is None:
            return None
        due = self.terms.calendar.due_at(begun.occurrence_id)
        occurrence = Occurrence(begun.model, begun.occurrence_id, due, begun.run_id)
        return self._carry_out(occurrence, f"continued what began {self.terms.calendar.show(begun.begun_at)}")

    def _retrain(self, fired: Fired) -> NightlyResult:
        model, now = self.terms.model, self.clock.now()
        for missed in fired.missed:
            self.occurrences.skip(model, missed, f"missed; {fired.occurrence_id} stands in for it", now)
        earlier = self.occurrences.get(model, fired.occurrence_id)
        run_id = run_id_for(model, fired.occurrence_id, earlier.run_id if earlier else "")
        self.occurrences.begin(model, fired.occurrence_id, run_id, now)
        return self._carry_out(Occurrence(model, fired.occurrence_id, fired.due_at, run_id), fired.reason)

    def _carry_out(self, occurrence: Occurrence, why: str) -> NightlyResult:
        ending, cost_usd = self._run_and_judge(occurrence)
        if ending.judgement is not None:
            self.record(ending.judgement)
        reason = f"{why}; {ending.reason}"
        self.occurrences.finish(occurrence.model, occurrence.id, ending.outcome, reason, self.clock.now())
        if ending.outcome is OccurrenceOutcome.PROMOTED:
            self.registry.prune(occurrence.model, keep=self.keep_versions)
        return self._result(occurrence, ending, reason, cost_usd)

    def _run_and_judge(self, occurrence: Occurrence) -> tuple[OccurrenceEnd, Decimal | None]:
        run_id = occurrence.run_id
        try:
            submitted = self.submit(occurrence)
        except RefusedError as refused:
            return OccurrenceEnd(
                OccurrenceOutcome.REFUSED, ExitCode.REFUSED, f"run {run_id} was refused: {refused}"
            ), None
        if submitted != run_id:
            raise SpotwiseError(f"run {run_id} was asked for and {submitted} was started: cancel that one")
        run = self.wait(run_id)
        if not run.state.is_final:
            raise SpotwiseError(f"run {run_id} is still {run.state}: run the nightly again to continue with it")
        if run.state is not RunState.COMPLETED:
            return unsuccessful(run), run.cost_usd
        return judge_and_promote(run, self.terms, self.registry, self.clock.now()), run.cost_usd

    def _result(
        self, occurrence: Occurrence, ending: OccurrenceEnd, reason: str, cost_usd: Decimal | None
    ) -> NightlyResult:
        next_due = self.terms.calendar.next_due(self.clock.now())
        cost = "" if cost_usd is None else f" Cost {cost_usd:.2f} USD."
        return NightlyResult(
            exit_code=ending.exit_code,
            message=f"{occurrence.model} {occurrence.id}: {ending.outcome}. {reason}.{cost}"
            f" Next due {self.terms.calendar.show(next_due)}.",
            model=occurrence.model,
            next_due_at=next_due,
            occurrence_id=occurrence.id,
            run_id=occurrence.run_id,
            outcome=ending.outcome,
            cost_usd=cost_usd,
        )
