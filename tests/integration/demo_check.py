"""Did `make demo` do what it promises? Reads what it left behind: ``demo_check.py SPOTWISE_HOME REPORT_FOLDER``.

Prints one line a promise, and ends with code 1 if one is broken.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from spotwise.checkpoints import ProgressEvent, ProgressRecord, read_progress
from spotwise.scheduler.accounting.ledger import Charge, cost_of
from spotwise.scheduler.core.money import MICRO_USD
from spotwise.scheduler.core.run import Attempt, AttemptState, Run, RunKind, RunState
from spotwise.scheduler.core.study import StudyRecord, TrialState
from spotwise.scheduler.store import Store
from spotwise.scheduler.store.nights import judgements

FILES = ("report.html", "report.txt", "focus.csv")


@dataclass(frozen=True)
class Demo:
    """All that the demo left."""

    runs: tuple[Run, ...]
    attempts: tuple[Attempt, ...]
    charges: tuple[Charge, ...]
    studies: tuple[StudyRecord, ...]
    promoted: tuple[str, ...]  # runs whose model was
    report: Path

    @classmethod
    def read(cls, home: Path, report: Path) -> Demo:
        store = Store.open(f"sqlite:///{home / 'spotwise.db'}")
        promoted = tuple(judgement.version for judgement in judgements(store) if judgement.promoted)
        found = cls(
            tuple(store.runs()),
            tuple(store.attempts()),
            tuple(store.charges()),
            tuple(store.studies()),
            promoted,
            report,
        )
        store.close()
        return found

    def of(self, run: Run) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.run_id == run.id]

    def preemptions(self, run: Run) -> int:
        """Of programs that were running, and so were signalled or killed."""
        return sum(a.state is AttemptState.PREEMPTED and a.started_at is not None for a in self.of(run))


@dataclass(frozen=True)
class Finding:
    """What was promised, and what is there."""

    promise: str
    kept: bool
    found: object


def findings(demo: Demo) -> Iterator[Finding]:
    sweeps = [run for run in demo.runs if run.kind is RunKind.SWEEP]
    nights = [run for run in demo.runs if run.kind is RunKind.RETRAINING]
    states = [run.state.value for run in demo.runs]
    yield Finding("two sweeps and one night, all completed", _three_completed(sweeps, nights, demo), states)
    if len(sweeps) == 2:
        yield from sweep_findings(demo, sweeps[0])
        known = [t.note for t in _study(demo, sweeps[1]).trials if t.source == "prior"]
        from_first = bool(known) and all(sweeps[0].id in note for note in known)
        yield Finding("the second sweep starts from the first one's trials", from_first, known)
    night_ids = tuple(run.id for run in nights)
    yield Finding("the night's model is promoted", demo.promoted == night_ids != (), demo.promoted)
    yield Finding("the night survived a preemption", any(demo.preemptions(run) for run in nights), night_ids)
    yield from resume_findings(demo)
    yield from money_findings(demo)


def sweep_findings(demo: Demo, run: Run) -> Iterator[Finding]:
    trials = _study(demo, run).trials
    pruned = sum(trial.state is TrialState.PRUNED for trial in trials)
    completed = sum(trial.state is TrialState.COMPLETED for trial in trials)
    yield Finding("at least 16 trials", len(trials) >= 16, len(trials))
    yield Finding(
        "early stopping ended some, and some trained to the end", pruned > 0 and completed > 0, (pruned, completed)
    )
    yield Finding("at least 3 preemptions", demo.preemptions(run) >= 3, demo.preemptions(run))


def resume_findings(demo: Demo) -> Iterator[Finding]:
    """Of every program that was started more than once."""
    resumed, wrong = 0, []
    for run in demo.runs:
        for path in sorted(Path(run.folder).rglob("progress.jsonl")):
            for expected, start in restarts(read_progress(str(path))):
                resumed += expected > 0
                if start.epoch != expected:
                    wrong.append(f"{path}: at {start.epoch}, saved were {expected}")
    yield Finding("programs continued after a checkpoint", resumed > 0, f"{resumed} times")
    yield Finding("none started over or repeated an epoch that it had saved", not wrong, wrong)


def restarts(records: Sequence[ProgressRecord]) -> Iterator[tuple[int, ProgressRecord]]:
    """Every start but the first, with the epochs in the last checkpoint that was committed before it."""
    starts, saved = 0, 0
    for record in records:
        if record.event is ProgressEvent.STARTED:
            starts += 1
            if starts > 1:
                yield saved, record
        elif record.event is ProgressEvent.CHECKPOINT:
            saved = record.epoch


def money_findings(demo: Demo) -> Iterator[Finding]:
    missing = [name for name in FILES if not (demo.report / name).is_file()]
    yield Finding("the report is there", not missing, missing or FILES)
    if not missing:
        with (demo.report / "focus.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        billed = {row["x_ChargeId"]: Decimal(row["BilledCost"]) for row in rows}
        same = len(rows) == len(billed) and billed == {charge.id: charge.amount_usd for charge in demo.charges}
        total = sum((charge.amount_usd for charge in demo.charges), Decimal(0))
        yield Finding("the CSV has the ledger's amounts to the last digit", same, f"{total} USD in {len(rows)} rows")
    ended = [a for a in demo.attempts if a.state is not AttemptState.REFUSED]
    unbooked = [fault for attempt in ended for fault in booking_faults(attempt, demo.charges)]
    yield Finding("every second of every attempt is charged once", not unbooked, unbooked or f"{len(ended)} attempts")


def booking_faults(attempt: Attempt, ledger: Sequence[Charge]) -> Iterator[str]:
    """Moments of an attempt that are charged more or less than once, and a sum that is not the attempt's."""
    if attempt.ended_at is None:
        yield f"{attempt.id} has not ended"
        return
    charges = [charge for charge in ledger if charge.attempt_id == attempt.id]
    total, whole = sum((c.amount_usd for c in charges), Decimal(0)), cost_of(attempt, attempt.ended_at)
    if total != whole:
        yield f"{attempt.id} cost {whole} USD, and {total} are charged"
    moments = sorted({attempt.launched_at, attempt.ended_at, *(m for c in charges for m in (c.start, c.end))})
    for left, right in pairwise(moments):
        held = sum((Fraction(c.share) for c in charges if c.start <= left and c.end >= right), Fraction(0))
        if abs(held - 1) > len(charges) * Fraction(MICRO_USD):  # shares are rounded for reading
            yield f"{attempt.id} from {left} to {right}: {float(held)} of it is charged"


def _three_completed(sweeps: Sequence[Run], nights: Sequence[Run], demo: Demo) -> bool:
    completed = all(run.state is RunState.COMPLETED for run in demo.runs)
    return completed and (len(sweeps), len(nights), len(demo.runs)) == (2, 1, 3)


def _study(demo: Demo, run: Run) -> StudyRecord:
    return next(study for study in demo.studies if study.id == run.id)


def main() -> int:
    found = list(findings(Demo.read(Path(sys.argv[1]), Path(sys.argv[2]))))
    for each in found:
        print(f"{'kept  ' if each.kept else 'BROKEN'}  {each.promise}: {each.found}")
    return 0 if all(each.kept for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
