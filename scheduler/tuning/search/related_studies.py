"""Which past studies a sweep starts from: those it names, or those that tuned something alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from ...core.configurations import Space
from ...core.errors import NotFoundError
from ...core.study import StudyRecord, TaskDescription, TrialState
from ..study.search_space import shared_names

MAX_STUDIES = 5  # that a sweep starts from: the most similar teach most, and a plan must stay readable. Not tuned
SIMILAR_SIZE_RATIO = 2.0  # of two numbers of examples, at most, for these to be about as many. Not tuned


class DataSimilarity(IntEnum):
    """How similar the data of two studies are, by their task descriptions."""

    UNKNOWN = 0  # one of them is not described, or they differ
    SIMILAR_SIZE = 1  # about as many examples
    SAME_DATA = 2


@dataclass(frozen=True, slots=True)
class RelatedStudy:
    """A past study and why it is used."""

    study: StudyRecord
    reason: str


@dataclass(frozen=True, slots=True)
class _Relation:
    """What a past study and the new sweep have in common."""

    similarity: DataSimilarity
    shared: int  # parameters
    metric: bool
    words: tuple[str, ...]  # what is the same, for people

    def key(self, study: StudyRecord) -> tuple[object, ...]:
        """Larger is more similar."""
        return (self.similarity, self.shared, self.metric, study.created_at, study.id)


def pick_priors(
    priors: str | Sequence[str],
    studies: Sequence[StudyRecord],
    *,
    space: Space,
    metric: str,
    job_name: str = "",
    labels: Mapping[str, str] | None = None,
    task: TaskDescription | None = None,
) -> tuple[RelatedStudy, ...]:
    """What ``sweep.priors`` means: ``auto`` finds related studies, ``none`` uses nothing, a list names studies by id.

    Raises:
        NotFoundError: a named study does not exist.
    """
    if isinstance(priors, str):
        if priors == "none":
            return ()
        return related_studies(studies, space=space, metric=metric, job_name=job_name, labels=labels, task=task)
    by_id = {study.id: study for study in studies}
    missing = [id_ for id_ in priors if id_ not in by_id]
    if missing:
        raise NotFoundError(
            f"sweep.priors names studies that do not exist: {', '.join(missing)}; known: {_some(by_id)}; "
            "`spotwise studies list` shows all"
        )
    return tuple(RelatedStudy(by_id[id_], "named in the job file") for id_ in priors)


def related_studies(
    studies: Sequence[StudyRecord],
    *,
    space: Space,
    metric: str,
    job_name: str = "",
    labels: Mapping[str, str] | None = None,
    task: TaskDescription | None = None,
    limit: int = MAX_STUDIES,
) -> tuple[RelatedStudy, ...]:
    """Studies worth starting from, the most similar first.

    Related is a study that has a completed trial, at least half of this space's parameters (same name, both numeric or
    both categorical), and the data, the metric, the job's name or a label in common. The more similar of two is the one
    on the same data, or else on about as much; then the one with more parameters in common; then the one with the same
    metric; then the newer one.
    """
    found = []
    for study in studies:
        relation = _relation(study, space=space, metric=metric, job_name=job_name, labels=labels or {}, task=task)
        if relation is not None:
            found.append((relation, study))
    found.sort(key=lambda each: each[0].key(each[1]), reverse=True)
    return tuple(RelatedStudy(study, _reason(relation, len(space))) for relation, study in found[:limit])


def data_similarity(task: TaskDescription | None, other: TaskDescription | None) -> DataSimilarity:
    """Of two tasks, as far as they are described. The same data may have grown."""
    if task is None or other is None:
        return DataSimilarity.UNKNOWN
    if task.data is not None and task.data == other.data:
        return DataSimilarity.SAME_DATA
    if task.size and other.size and max(task.size, other.size) <= SIMILAR_SIZE_RATIO * min(task.size, other.size):
        return DataSimilarity.SIMILAR_SIZE
    return DataSimilarity.UNKNOWN


def _relation(
    study: StudyRecord,
    *,
    space: Space,
    metric: str,
    job_name: str,
    labels: Mapping[str, str],
    task: TaskDescription | None,
) -> _Relation | None:
    """None where the study is not related."""
    shared = shared_names(space, study.space)
    learned = any(t.state is TrialState.COMPLETED and t.value is not None for t in study.trials)
    if not learned or 2 * len(shared) < len(space) or not shared:
        return None
    similarity = data_similarity(task, study.task)
    common = [f"{key}={value}" for key, value in labels.items() if value and study.labels.get(key) == value]
    data = [f"data {task.data}"] if task is not None and similarity is DataSimilarity.SAME_DATA else []
    same = (
        data
        + [f"metric {metric}"] * (study.metric == metric)
        + [f"job {job_name}"] * (study.job_name == job_name)
        + common
    )
    if not same:
        return None
    words = [f"same {', '.join(same)}"]
    if similarity is DataSimilarity.SIMILAR_SIZE and task is not None and study.task is not None:
        words.append(f"about as much data ({study.task.size} examples, here {task.size})")
    return _Relation(similarity, len(shared), study.metric == metric, tuple(words))


def _reason(relation: _Relation, parameters: int) -> str:
    return "; ".join([*relation.words, f"{relation.shared} of {parameters} parameters in common"])


def _some(known: Mapping[str, StudyRecord]) -> str:
    return ", ".join(sorted(known)[-MAX_STUDIES:]) or "none yet"
