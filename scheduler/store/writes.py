"""What is written, each with its lines in the history, in the transaction of the caller."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal

from sqlalchemy import Connection, Table, delete, insert, select, update

from ..accounting.ledger import Charge
from ..core.code_version import CodeVersion
from ..core.run import Attempt, Run
from ..core.study import StudyRecord
from . import rows, tables
from .changes import ChangeLog, Subject

# What the history tells of them; the charges come to that.
_OF_RUN = ("state", "budget_usd", "reserved_usd", "budget_spent")
_OF_ATTEMPT = ("state", "migrating")

Changed = Mapping[str, tuple[object, object]]  # by field: before, after


def add_run(connection: Connection, history: ChangeLog, run: Run, active_key: str) -> None:
    """Insert a run; ``active_key`` keeps a second run of the same job file away while it is active."""
    values = rows.run_row(run)
    connection.execute(insert(tables.runs).values(active_key=active_key, **values))
    code = CodeVersion.of_json(run.code_json)
    changed: Changed = {**_changed({}, values, _OF_RUN), "code": (None, None if code is None else code.text)}
    history.append(connection, Subject.RUN, run.id, changed, cause="submitted", run_id=run.id)


def update_run(connection: Connection, history: ChangeLog, run: Run, cause: str) -> None:
    """Write all of a run but ``cancel_requested``; frees its job file for the next run when it is final."""
    values = rows.run_row(run)
    del values["id"], values["cancel_requested"]
    if run.state.is_final:
        values["active_key"] = None
    before = _row(connection, tables.runs, run.id, _OF_RUN)
    connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(**values))
    changed = _changed(before, values, _OF_RUN)
    history.append(connection, Subject.RUN, run.id, changed, cause=cause or run.end_reason, run_id=run.id)


def request_cancel(connection: Connection, history: ChangeLog, run_id: str) -> None:
    """Note that somebody wants the run to end. Asking twice changes nothing."""
    run = tables.runs
    asked = update(run).where(run.c.id == run_id, run.c.cancel_requested.is_(False)).values(cancel_requested=True)
    if connection.execute(asked).rowcount:
        changed = {"cancel_requested": (False, True)}
        history.append(connection, Subject.RUN, run_id, changed, cause="asked for", run_id=run_id)


def write_attempt(
    connection: Connection, history: ChangeLog, attempt: Attempt, charges: Sequence[Charge], cause: str
) -> None:
    """Insert or update an attempt; charges take the place of those that it had."""
    table, values = tables.attempts, rows.attempt_row(attempt)
    before = _row(connection, table, attempt.id, _OF_ATTEMPT)
    if before:
        connection.execute(update(table).where(table.c.id == attempt.id).values(**values))
    else:
        connection.execute(insert(table).values(**values))
    changed = {**_changed(before, values, _OF_ATTEMPT), **(_book(connection, attempt, charges) if charges else {})}
    why = cause or attempt.end_reason or ("" if before else attempt.reason)
    history.append(connection, Subject.ATTEMPT, attempt.id, changed, cause=why, run_id=attempt.run_id)


def write_study(connection: Connection, history: ChangeLog, study: StudyRecord) -> None:
    """Insert a study, or put it whole in the place of the one with its id."""
    table, values = tables.studies, rows.study_row(study)
    before = _row(connection, table, study.id, ("record",)).get("record")
    if before is None:
        connection.execute(insert(table).values(id=study.id, **values))
    else:
        connection.execute(update(table).where(table.c.id == study.id).values(**values))
    _tell_of_study(connection, history, study.id, (before, values["record"]), "kept for later sweeps")


def import_study(connection: Connection, history: ChangeLog, study: StudyRecord) -> None:
    """Insert a study that came from elsewhere."""
    values = rows.study_row(study)
    connection.execute(insert(tables.studies).values(id=study.id, **values))
    _tell_of_study(connection, history, study.id, (None, values["record"]), f"imported from {study.origin or 'a file'}")


def forget_study(connection: Connection, history: ChangeLog, study_id: str) -> None:
    """Delete a study; its record stays in the history."""
    table = tables.studies
    before = _row(connection, table, study_id, ("record",)).get("record")
    connection.execute(delete(table).where(table.c.id == study_id))
    _tell_of_study(connection, history, study_id, (before, None), "forgotten")


def _book(connection: Connection, attempt: Attempt, charges: Sequence[Charge]) -> Changed:
    """Put these charges in the place of the attempt's; the sums before and after. Equal ones change nothing."""
    table = tables.charges
    own = select(table).where(table.c.attempt_id == attempt.id).order_by(table.c.seq)
    before = [rows.charge_of(dict(row._mapping)) for row in connection.execute(own)]
    if before == list(charges):
        return {}
    connection.execute(delete(table).where(table.c.attempt_id == attempt.id))
    connection.execute(insert(table), [rows.charge_row(charge) for charge in charges])
    old, new = (sum((charge.amount_usd for charge in each), Decimal(0)) for each in (before, charges))
    return {"booked_usd": (old if before else None, new)}


def _tell_of_study(
    connection: Connection, history: ChangeLog, study_id: str, records: tuple[str | None, str | None], cause: str
) -> None:
    """The history holds the digests of records, not the records."""
    before, after = (None if each is None else hashlib.sha256(each.encode()).hexdigest() for each in records)
    changed = {"record_sha256": (before, after)}
    history.append(connection, Subject.STUDY, study_id, changed, cause=cause, run_id=study_id)


def _row(connection: Connection, table: Table, row_id: str, names: Sequence[str]) -> rows.Row:
    """These columns of one row; {} where there is no such row."""
    found = connection.execute(select(*(table.c[name] for name in names)).where(table.c.id == row_id)).first()
    return {} if found is None else dict(found._mapping)


def _changed(before: rows.Row, after: rows.Row, names: Sequence[str]) -> Changed:
    return {name: (before.get(name), after[name]) for name in names}
