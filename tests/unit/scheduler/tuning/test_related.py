from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from spotwise.scheduler.errors import NotFoundError
from spotwise.scheduler.study import StudyRecord
from spotwise.scheduler.tuning.related import pick_priors

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


def test_none_and_named(make_study: MakeStudy, space: dict[str, Any]) -> None:
    studies = [make_study(GOOD, id="a"), make_study(GOOD, id="b", metric="loss", job_name="x")]
    assert ids("none", studies, space) == []
    assert ids(["b"], studies, space) == ["b"]
    with pytest.raises(NotFoundError, match="do not exist: c"):
        ids(["c"], studies, space)


def test_reading_studies_and_planning_load_neither_ray_nor_optuna() -> None:
    modules = ("view", "records", "related", "portfolio", "task", "asha", "live", "recover")
    code = "import sys\n" + "".join(f"import spotwise.scheduler.tuning.{m}\n" for m in modules)
    code += "sys.exit(', '.join({'ray', 'optuna', 'torch'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
