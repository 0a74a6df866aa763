from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from spotwise.scheduler.core.errors import NotFoundError
from spotwise.scheduler.core.study import StudyRecord, TaskDescription
from spotwise.scheduler.tuning.search.related_studies import DataSimilarity, data_similarity, pick_priors

MakeStudy = Callable[..., StudyRecord]
GOOD: list[tuple[dict[str, Any], float | None]] = [({"lr": 0.1}, 0.9)]


def ids(priors: str | list[str], studies: list[StudyRecord], space: dict[str, Any], **task: Any) -> list[str]:
    fields = {"metric": "accuracy", "job_name": "digits"} | task
    return [found.study.id for found in pick_priors(priors, studies, space=space, **fields)]


def test_auto_takes_what_shares_half_the_space_and_a_bond(make_study: MakeStudy, space: dict[str, Any]) -> None:
    small = {name: space[name] for name in ("lr", "width")}
    studies = [
        make_study(GOOD, id="same"),
        make_study(GOOD, id="two of three", space=small, metric="loss", job_name="digits"),
        make_study(GOOD, id="one of three", space={"lr": space["lr"]}),
        make_study(GOOD, id="other kind", space={n: {"type": "categorical", "choices": [1]} for n in ("lr", "width")}),
        make_study(GOOD, id="no bond", metric="loss", job_name="other"),
        make_study(GOOD, id="label", metric="loss", job_name="other", labels={"project": "shelf"}),
        make_study([({"lr": 0.1}, None)], id="nothing learned"),
    ]
    assert set(ids("auto", studies, space, labels={"project": "shelf"})) == {"same", "two of three", "label"}


def test_newest_five(make_study: MakeStudy, space: dict[str, Any]) -> None:
    studies = [make_study(GOOD, id=str(day), created_at=datetime(2026, 1, day, tzinfo=UTC)) for day in range(1, 9)]
    assert ids("auto", studies, space) == ["8", "7", "6", "5", "4"]


def test_the_most_alike_come_first(make_study: MakeStudy, space: dict[str, Any]) -> None:
    """Data before parameters, parameters before the metric, the metric before age."""
    small = {name: space[name] for name in ("lr", "width")}
    day = {n: datetime(2026, 1, n, tzinfo=UTC) for n in range(1, 10)}
    ours, like = TaskDescription("shelves", 1000), TaskDescription("shops", 1500)
    studies = [
        make_study(GOOD, id="new, small, other metric", space=small, metric="loss", created_at=day[9]),
        make_study(GOOD, id="small", space=small, created_at=day[8]),
        make_study(GOOD, id="other metric", metric="loss", created_at=day[7]),
        make_study(GOOD, id="older", created_at=day[1]),
        make_study(GOOD, id="newer", created_at=day[2]),
        make_study(GOOD, id="as much data", space=small, task=like, created_at=day[1]),
        make_study(GOOD, id="same data", space=small, metric="loss", job_name="x", task=ours, created_at=day[1]),
    ]
    found = pick_priors("auto", studies, space=space, metric="accuracy", job_name="digits", task=ours)
    assert [related.study.id for related in found] == ["same data", "as much data", "newer", "older", "other metric"]
    assert [related.reason for related in found[:3]] == [
        "same data shelves; 2 of 3 parameters in common",
        "same metric accuracy, job digits; about as much data (1500 examples, here 1000); 2 of 3 parameters in common",
        "same metric accuracy, job digits; 3 of 3 parameters in common",
    ]


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        (None, TaskDescription("a", 1), DataSimilarity.UNKNOWN),
        (TaskDescription("a", 1), TaskDescription("a", 9), DataSimilarity.SAME_DATA),
        (TaskDescription("a", 100), TaskDescription("b", 200), DataSimilarity.SIMILAR_SIZE),
        (TaskDescription(size=201), TaskDescription(size=100), DataSimilarity.UNKNOWN),
        (TaskDescription("a"), TaskDescription(size=100), DataSimilarity.UNKNOWN),
        (
            TaskDescription(size=1),
            TaskDescription(size=10),
            DataSimilarity.UNKNOWN,
        ),  # no data named in either is not the same
    ],
)
def test_likeness_of_tasks(ours: TaskDescription | None, theirs: TaskDescription, alike: DataSimilarity) -> None:
    assert data_similarity(ours, theirs) is data_similarity(theirs, ours) is alike


def test_a_label_without_a_value_is_no_bond(make_study: MakeStudy, space: dict[str, Any]) -> None:
    """Neither job names a team: that both name none says nothing."""
    studies = [make_study(GOOD, metric="loss", job_name="other", labels={"team": ""})]
    assert ids("auto", studies, space, labels={"team": ""}) == []


def test_none_and_named(make_study: MakeStudy, space: dict[str, Any]) -> None:
    studies = [make_study(GOOD, id="a"), make_study(GOOD, id="b", metric="loss", job_name="x")]
    assert ids("none", studies, space) == []
    assert ids(["b"], studies, space) == ["b"]
    with pytest.raises(NotFoundError, match="do not exist: c"):
        ids(["c"], studies, space)


def test_reading_studies_and_planning_load_neither_ray_nor_optuna() -> None:
    parts = (
        "study.study_state study.study_record study.sweep_task search.related_studies search.portfolio "
        "stopping.asha host.sweep host.recovery"
    )
    code = "import sys\n" + "".join(f"import spotwise.scheduler.tuning.{m}\n" for m in parts.split())
    code += "sys.exit(', '.join({'ray', 'optuna', 'torch'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
