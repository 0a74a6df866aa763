"""A nightly with everything around it faked, and a way to crash it anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from checkpoint_folders import checkpoint_folder
from occurrences import MemoryOccurrences

from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import RefusedError
from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.jobfile.job_spec import JobSpec, parse_job
from spotwise.scheduler.retraining.judging import FinishedRun, Judgement
from spotwise.scheduler.retraining.nightly import NightlyResult, run_nightly
from spotwise.scheduler.retraining.occurrences import Occurrence, OccurrenceOutcome, OccurrenceRecord
from spotwise.scheduler.retraining.registry import Registry

JOB = """
name: digits-nightly
run: python train.py
retrain:
  model: digits
  triggers: {calendar: {at: "02:00", timezone: UTC}}
  gate: {metric: val_accuracy, goal: maximize, min_improvement: 0.0}
"""


class Crash(BaseException):
    """The process is gone: no Exception, so that nothing handles it."""


@dataclass
class World(MemoryOccurrences):
    """The store, the runs and the time, which outlive a nightly that crashes."""

    folder: Path
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2026, 11, 23, 2, 5, tzinfo=UTC)))
    accuracy: float | None = 0.97  # what the next runs will report
    state: RunState = RunState.COMPLETED
    corrupt: bool = False
    refusal: str = ""
    crash_at: str = ""  # "submit before", "submit after", ...
    runs: dict[str, FinishedRun] = field(default_factory=dict)
    waited: list[str] = field(default_factory=list)
    judgements: dict[str, Judgement] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.registry = Registry(self.folder)

    def nightly(self, text: str = JOB, **options: Any) -> NightlyResult:
        job: JobSpec = parse_job(text, source="digits.yaml")
        steps = {"submit": self.submit, "wait": self.wait, "record": self.record}
        return run_nightly(job, home=self.folder, clock=self.clock, occurrences=self, **steps, **options)

    def outcome(self, occurrence_id: str) -> OccurrenceOutcome | None:
        record = self.get("digits", occurrence_id)
        assert record is not None
        return record.outcome

    def submit(self, occurrence: Occurrence) -> str:
        with self._step("submit"):
            if self.refusal and occurrence.run_id not in self.runs:
                raise RefusedError(self.refusal)
            self.runs.setdefault(occurrence.run_id, self._train(occurrence.run_id))
            return occurrence.run_id

    def wait(self, run_id: str) -> FinishedRun:
        with self._step("wait"):
            self.waited.append(run_id)
            self.clock.sleep(1800)
            return self.runs[run_id]

    def record(self, judgement: Judgement) -> None:
        with self._step("record"):
            self.judgements[judgement.version] = judgement

    def begin(self, model: str, occurrence_id: str, run_id: str, now: datetime) -> None:
        with self._step("begin"):
            super().begin(model, occurrence_id, run_id, now)

    def finish(self, model: str, occurrence_id: str, outcome: OccurrenceOutcome, reason: str, now: datetime) -> None:
        with self._step("finish"):
            super().finish(model, occurrence_id, outcome, reason, now)

    def skip(self, model: str, occurrence_id: str, reason: str, now: datetime) -> None:
        with self._step("skip"):
            super().skip(model, occurrence_id, reason, now)

    def last_finished(self, model: str) -> OccurrenceRecord | None:
        with self._step("evaluate"):
            return super().last_finished(model)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        if self.crash_at == f"{name} before":
            raise Crash
        yield
        if self.crash_at == f"{name} after":
            raise Crash

    def _train(self, run_id: str) -> FinishedRun:
        folder = checkpoint_folder(self.folder / "runs" / run_id / "step-000000120")
        if self.corrupt:
            (folder / "state.pt").write_bytes(b"torn")
        metrics = {} if self.accuracy is None else {"val_accuracy": self.accuracy}
        return FinishedRun(run_id, self.state, metrics, folder, Decimal("3.20"), "see the log")
