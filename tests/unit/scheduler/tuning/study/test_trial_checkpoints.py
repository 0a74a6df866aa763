"""Which trials' checkpoints a sweep still needs, and that the others go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spotwise.scheduler.tuning.host.checkpoint_remover import CheckpointRemover
from spotwise.scheduler.tuning.study.study_state import Study, TrialPhase, TrialView
from spotwise.scheduler.tuning.study.sweep_task import SweepTask
from spotwise.scheduler.tuning.study.trial_checkpoints import surplus_trials

MakeTask = Callable[..., SweepTask]
P = TrialPhase
PHASES = [(P.COMPLETED, 0.5), (P.PRUNED, 0.95), (P.COMPLETED, 0.9), (P.RUNNING, 0.1), (P.FROZEN, 0.2), (P.PAUSED, 0.3),
          (P.FAILED, 0.4), (P.COMPLETED, 0.7)]  # fmt: skip


def study() -> Study:
    return Study({
        n: TrialView(n, {"lr": n}, "sampler", "", n % 2, phase, 1, {1: value}, value if phase.is_final else None)
        for n, (phase, value) in enumerate(PHASES)
    })  # fmt: skip


@pytest.mark.parametrize(
    ("keep", "goal", "surplus"),
    [(None, "maximize", {1}), (1, "maximize", {0, 1, 6, 7}), (2, "maximize", {0, 1, 6}), (1, "minimize", {1, 2, 6, 7})],
)
def test_stopped_trials_need_none_and_of_the_others_as_many_stay_as_are_asked_for(
    make_task: MakeTask, keep: int | None, goal: str, surplus: set[int]
) -> None:
    assert surplus_trials(study(), make_task(keep_trials=keep, goal=goal)) == surplus


def test_each_host_removes_those_of_its_own_trials(make_task: MakeTask) -> None:
    found = [surplus_trials(study(), make_task(keep_trials=1, hosts=2, host=host)) for host in (0, 1)]
    assert found == [{0, 6}, {1, 7}]


@pytest.mark.parametrize("to", [None, "memory://sweep-checkpoints"])
def test_they_are_removed_where_they_lie_and_nothing_else_is(make_task: MakeTask, to: str | None) -> None:
    from spotwise.checkpoints.storage import storage_for
    from spotwise.scheduler.tuning.study.trial_checkpoints import trial_checkpoints_url

    task = make_task(keep_trials=1, checkpoint_to=to)
    storages = [storage_for(trial_checkpoints_url(task.folder, to, n)) for n in range(len(PHASES))]
    for storage in storages:
        storage.put("step-000000001/state.pt", b"1")
        storage.put("step-000000001/manifest.json", b"{}")
    log = Path(task.folder) / "trials" / "0001" / "log.txt"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("said")
    remover = CheckpointRemover(task, lambda line: None)
    remover.follow(study())
    remover.wait()
    assert [n for n, storage in enumerate(storages) if not storage.files("")] == [0, 1, 6, 7]
    assert log.exists()


def test_a_place_that_cannot_be_emptied_is_named_and_holds_nothing_up(make_task: MakeTask, tmp_path: Path) -> None:
    said: list[str] = []
    remover = CheckpointRemover(make_task(checkpoint_to="nosuchprotocol://x"), said.append)
    remover.follow(study())
    remover.wait()
    assert [line.partition(" stay")[0] for line in said] == ["checkpoints of trial 1"]
