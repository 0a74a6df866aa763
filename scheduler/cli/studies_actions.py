"""`spotwise studies`: what each of its commands does with the store. Printing is in ``studies_view``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.errors import InputError
from ..core.study import StudyRecord
from ..core.text import counted
from ..jobfile.job_spec import parse_job
from ..jobfile.yaml_reader import read_text
from ..store import Store
from ..store.studies import Added, add_studies, check_forgettable, forget_studies, study_of
from ..tuning.exchange.file import write_export
from ..tuning.exchange.found import FoundStudies, ImportOptions
from ..tuning.exchange.source import read_source


@dataclass(frozen=True, slots=True)
class Imported:
    """One study that was imported, or was there already."""

    study: StudyRecord
    added: Added


def named(store: Store, ids: Sequence[str]) -> list[StudyRecord]:
    """These studies, each once, in the order they were named.

    Raises:
        NotFoundError: there is no such study.
    """
    return [study_of(store, study_id) for study_id in dict.fromkeys(ids)]


def export_studies(store: Store, ids: Sequence[str], to: Path, *, everything: bool) -> list[StudyRecord]:
    """Write studies to a file, whole or not at all.

    Raises:
        InputError: none is named, or some and all; the file cannot be written.
        NotFoundError: there is no such study.
    """
    if bool(ids) == everything:
        raise InputError("say which studies to export: ids, as `spotwise studies list` shows them, or --all")
    studies = store.studies() if everything else named(store, ids)
    write_export(to, studies)
    return studies


def told_by(
    *, study: str | None = None, metric: str | None = None, goal: str | None = None, space_from: Path | None = None
) -> ImportOptions:
    """What the options of an import say. A job file that gives the space says metric and goal too.

    Raises:
        JobFileError: faults of the job file.
        InputError: it is no sweep.
    """
    if space_from is None:
        return ImportOptions(study, metric, goal)
    job = parse_job(read_text(space_from), source=str(space_from))
    if job.sweep is None:
        raise InputError(f"{space_from} has no sweep and so no space: name the job file of a sweep")
    return ImportOptions(
        study, metric or job.sweep.metric, goal or job.sweep.goal, job.sweep.space_spec, str(space_from)
    )


def read_studies(sources: Sequence[str], options: ImportOptions, as_id: str | None = None) -> FoundStudies:
    """The studies of all sources, and what to say of how they were read.

    Raises:
        InputError: a source cannot be used.
    """
    found = [read_source(source, options) for source in sources]
    studies = _called([study for each in found for study in each.studies], as_id)
    return FoundStudies(tuple(studies), tuple(note for each in found for note in each.notes))


def import_studies(store: Store, studies: Sequence[StudyRecord]) -> list[Imported]:
    """Add all studies in one transaction, or none; each once.

    Raises:
        InputError: an id is taken by another study.
    """
    added = add_studies(store, studies, refused=_taken)
    once = {study.id: study for study in studies}
    return [Imported(study, added[study_id]) for study_id, study in once.items()]


def forget(store: Store, ids: Sequence[str], *, may_forget: Callable[[str], bool]) -> list[str]:
    """Remove the records of studies, if ``may_forget`` says yes; the ids of those that are gone.

    Raises:
        NotFoundError: there is no such study.
        InputError: the run of one still goes on.
    """
    check_forgettable(store, ids)  # before a person is asked
    studies = named(store, ids)
    trials = sum(len(study.trials) for study in studies)
    what = studies[0].id if len(studies) == 1 else counted(len(studies), "study", "studies")
    which = f"{what} with {counted(trials, 'trial')}"
    if not may_forget(f"Forget {which}? No later sweep learns from it; the ledger stays."):
        return []
    gone = [study.id for study in studies]
    forget_studies(store, gone)
    return gone


def _called(studies: list[StudyRecord], as_id: str | None) -> list[StudyRecord]:
    if as_id is None:
        return studies
    if len(studies) != 1:
        ids = ", ".join(study.id for study in studies)
        raise InputError(f"--as {as_id} names one study, found {len(studies)}: {ids}; pick one with --study")
    return [replace(studies[0], id=as_id)]


def _taken(study: StudyRecord) -> str:
    ways = f"with --as ID it gets another; or first: spotwise studies forget {study.id}"
    return f"{study.id} is not imported: another study, or a run that goes on, has this id; {ways}"
