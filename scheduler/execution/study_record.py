"""What a study is kept with beyond its trials: its data, its machines, its whole cost, and what it learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from ..accounting.ledger import Charge
from ..core.errors import InputError
from ..core.run import Attempt, AttemptState
from ..core.study import StudyRecord, TaskDescription, TrialMachine
from ..jobfile.schema import Sweep
from ..tuning.study.sweep_task import SweepTask


def with_terms(
    record: StudyRecord, sweep: Sweep, attempts: Sequence[Attempt], charges: Sequence[Charge], priors: Sequence[str]
) -> StudyRecord:
    """The record with what the job file, the attempts and the ledger say of it."""
    return replace(
        record,
        task=description_of(sweep),
        machines=machines_of(attempts),
        cost_usd=sum((charge.amount_usd for charge in charges), Decimal(0)),
        cost_basis=", ".join(sorted({charge.cost_basis.value for charge in charges})),
        priors=tuple(priors),
    )


def description_of(sweep: Sweep) -> TaskDescription | None:
    """What the job file says that it trains on."""
    return None if sweep.task is None else TaskDescription(sweep.task.data, sweep.task.size)


def machines_of(attempts: Iterable[Attempt]) -> tuple[TrialMachine, ...]:
    """What attempts ran on, each kind once. A refused attempt ran nowhere."""
    placed = (attempt.offer for attempt in attempts if attempt.state is not AttemptState.REFUSED)
    found = (TrialMachine(offer.pool.cloud, offer.pool.instance_type, offer.accelerators()) for offer in placed)
    return tuple(sorted(set(found)))


def past_studies(sweep_json: Path) -> tuple[str, ...]:
    """Ids of the studies that a sweep's hosts were given. A run must end, and its study be kept, without it too."""
    try:
        text = sweep_json.read_text(encoding="utf-8")
        return tuple(prior.id for prior in SweepTask.from_json(text, source=str(sweep_json)).priors)
    except (OSError, UnicodeDecodeError, InputError):
        return ()
