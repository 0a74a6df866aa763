"""The kept studies as people handle them: one looked up, several added or forgotten whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from enum import StrEnum

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from ..core.errors import InputError, NotFoundError
from ..core.study import StudyRecord
from ..core.study_json import same_study, study_from_json
from . import tables, writes
from .changes import ChangeLog
from .store import Store


class Added(StrEnum):
    """What became of a study that was to be added."""

    NEW = "new"
    UNCHANGED = "unchanged"  # the very same is there already


def study_of(store: Store, study_id: str) -> StudyRecord:
    """One study.

    Raises:
        NotFoundError: no study has this id.
    """
    with store.transaction(reads=True) as connection:
        found = _find(connection, study_id)
    if found is None:
        raise NotFoundError(_unknown(study_id))
    return found


def add_studies(
    store: Store, studies: Sequence[StudyRecord], *, refused: Callable[[StudyRecord], str]
) -> dict[str, Added]:
    """Add all of them in one transaction, or none; by id, what became of each.

    Args:
        refused: what to say of a study whose id another one has.

    Raises:
        InputError: the id of one is another study's, or an active run's.
    """
    try:
        with store.transaction() as connection:
            return _add(connection, store.history, studies, refused)
    except IntegrityError:  # another process was faster: judge by what it wrote
        return add_studies(store, studies, refused=refused)


def check_forgettable(store: Store, ids: Sequence[str]) -> None:
    """Whether ``forget_studies`` would do it now.

    Raises:
        NotFoundError, InputError: as it would.
    """
    with store.transaction(reads=True) as connection:
        _check_forgettable(connection, ids)


def forget_studies(store: Store, ids: Sequence[str]) -> None:
    """Remove the records of studies, all or none. Runs, attempts and charges stay.

    Raises:
        NotFoundError: there is no such study.
        InputError: the run of one still goes on.
    """
    with store.transaction() as connection:
        _check_forgettable(connection, ids)
        for study_id in dict.fromkeys(ids):
            writes.forget_study(connection, store.history, study_id)


def _add(
    connection: Connection,
    history: ChangeLog,
    studies: Sequence[StudyRecord],
    refused: Callable[[StudyRecord], str],
) -> dict[str, Added]:
    done: dict[str, Added] = {}
    faults = []
    for study in studies:
        known = _find(connection, study.id)
        if known is not None and same_study(known, study):
            done.setdefault(study.id, Added.UNCHANGED)
        elif known is not None or _is_active(connection, study.id):
            faults.append(refused(study))
        else:
            writes.import_study(connection, history, study)
            done[study.id] = Added.NEW
    if faults:
        raise InputError("\n".join(faults))  # rolls back what was inserted
    return done


def _check_forgettable(connection: Connection, ids: Sequence[str]) -> None:
    for study_id in ids:
        if _find(connection, study_id) is None:
            raise NotFoundError(_unknown(study_id))
        if _is_active(connection, study_id):
            raise InputError(
                f"{study_id} is not forgotten: its run goes on; wait until it ends, or: spotwise cancel {study_id}"
            )


def _find(connection: Connection, study_id: str) -> StudyRecord | None:
    table = tables.studies
    record = connection.execute(select(table.c.record).where(table.c.id == study_id)).scalar_one_or_none()
    return None if record is None else study_from_json(json.loads(record))


def _is_active(connection: Connection, run_id: str) -> bool:
    runs = tables.runs
    active = select(runs.c.id).where(runs.c.id == run_id, runs.c.active_key.is_not(None))
    return connection.execute(active).first() is not None


def _unknown(study_id: str) -> str:
    return f"no study is called {study_id!r}: `spotwise studies list` shows all; a sweep's is kept when it ends"
