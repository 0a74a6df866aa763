"""Which past studies a sweep starts from: those it names, or those that tuned something alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import NotFoundError
from ..study import StudyRecord, TrialState
from .space import Space, shared_names

LIMIT = 5  # past studies at most: the newest teach most, and a plan must stay readable


@dataclass(frozen=True, slots=True)
class RelatedStudy:
    """A past study and why it is used."""

    study: StudyRecord
    reason: str


def pick_priors(
    priors: str | Sequence[str],
    studies: Sequence[StudyRecord],
    *,
    space: Space,
    metric: str,
    job_name: str = "",
    labels: Mapping[str, str] | None = None,
) -> tuple[RelatedStudy, ...]:
    """What ``sweep.priors`` means: ``auto`` finds related studies, ``none`` uses nothing, a list names studies by id.

    Raises:
        NotFoundError: a named study does not exist.
    """
    if isinstance(priors, str):
        if priors == "none":
            return ()
        return related_studies(studies, space=space, metric=metric, job_name=job_name, labels=labels)
    by_id = {study.id: study for study in studies}
    missing = [id_ for id_ in priors if id_ not in by_id]
    if missing:
        raise NotFoundError(
            f"sweep.priors names studies that do not exist: {', '.join(missing)}; known: {_some(by_id)}"
        )
    return tuple(RelatedStudy(by_id[id_], "named in the job file") for id_ in priors)


def related_studies(
    studies: Sequence[StudyRecord],
    *,
    space: Space,
    metric: str,
    job_name: str = "",
    labels: Mapping[str, str] | None = None,
    limit: int = LIMIT,
) -> tuple[RelatedStudy, ...]:
    """Studies worth starting from, newest first.

    Related is a study that has a completed trial, at least half of this space's parameters (same name, both numeric or
    both categorical), and the metric, the job's name or a label in common.
    """
    newest = sorted(studies, key=lambda study: (study.created_at, study.id), reverse=True)
    found = [(study, _reason(study, space, metric, job_name, labels or {})) for study in newest]
    return tuple(RelatedStudy(study, reason) for study, reason in found if reason)[:limit]


def _reason(study: StudyRecord, space: Space, metric: str, job_name: str, labels: Mapping[str, str]) -> str:
    shared = shared_names(space, study.space)
    learned = any(t.state is TrialState.COMPLETED and t.value is not None for t in study.trials)
    if not learned or 2 * len(shared) < len(space) or not shared:
        return ""
    common = [f"{key}={value}" for key, value in labels.items() if study.labels.get(key) == value]
    bonds = (
        [f"metric {metric}"] * (study.metric == metric) + [f"job {job_name}"] * (study.job_name == job_name) + common
    )
    if not bonds:
        return ""
    return f"same {', '.join(bonds)}; {len(shared)} of {len(space)} parameters in common"


def _some(known: Mapping[str, StudyRecord]) -> str:
    return ", ".join(sorted(known)[-LIMIT:]) or "none yet"
