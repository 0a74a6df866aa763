"""From a job file to an admitted run: what is looked up once, and what is refused before anything is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine

from spotwise.scheduler.core.clock import ManualClock, SystemClock
from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.core.run import CostBasis, Run
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.engines.base import LaunchRequest
from spotwise.scheduler.execution.context import App
from spotwise.scheduler.execution.situation import SituationReader
from spotwise.scheduler.execution.submission import prepare, submit
from spotwise.scheduler.execution.supervisor import Supervisor
from spotwise.scheduler.execution.workloads import workload_for
from spotwise.scheduler.jobfile.settings import Settings, SkyPilotSettings
from spotwise.scheduler.store import Store
from spotwise.scheduler.store.studies import forget_studies

JOB = """\
name: digits
resources: {accelerators: T4:1}
checkpoint: {every: 1 epochs}
work: {epochs: 10, hours: 2}
run: sleep 7200
"""


class Place:
    """An installation whose engine is in memory, and what was asked of that."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        clock = ManualClock(SystemClock().now())
        self.engine = FakeEngine(clock)
        made = Settings(home=folder / "home", **{"engine": "local", **settings})
        self.app = App(made.home, made, Store.open(made.store_url), clock, {made.engine: self.engine})

    def submit(self, job: Path) -> tuple[Run, bool]:
        return submit(self.app, prepare(self.app, job))

    def launched(self) -> LaunchRequest:
        app = self.app
        Supervisor(app.store, app.engine, app.settings, app.clock).tick()
        return self.engine.world.launches[-1]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def job_in(folder: Path, more: str = "") -> Path:
    for name in ("code", "data"):
        (folder / name).mkdir(parents=True)
    (folder / "job.yaml").write_text(JOB + more)
    return folder / "job.yaml"


WITH_FILES = "workdir: code\nfile_mounts: {/data: ./data, /b: 's3://bucket'}\nstorage_mounts: {/s: {source: data}}\n"


def test_a_supervisor_in_another_folder_uploads_the_files_of_the_job_files_folder(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "a", tmp_path / "b"
    job_in(other)
    monkeypatch.chdir(job_in(mine, WITH_FILES).parent)
    place.submit(Path("job.yaml"))
    monkeypatch.chdir(other)
    task = place.launched().task
    assert task["workdir"] == f"{mine}/code"
    assert task["file_mounts"] == {"/data": f"{mine}/data", "/b": "s3://bucket"}
    assert task["storage_mounts"] == {"/s": {"source": f"{mine}/data"}}


def test_a_job_without_a_work_folder_brings_none_along(place: Place, tmp_path: Path) -> None:
    place.submit(job_in(tmp_path / "a"))
    assert "workdir" not in place.launched().task


def test_the_same_text_beside_other_files_is_another_job(place: Place, tmp_path: Path) -> None:
    more = "file_mounts: {/data: ./data}\n"
    first, second = job_in(tmp_path / "a", more), job_in(tmp_path / "b", more)
    assert [place.submit(job)[1] for job in (first, first, second)] == [True, False, True]


def test_a_run_of_an_older_version_says_its_mounts_in_the_job_file_alone(place: Place, tmp_path: Path) -> None:
    run, _ = place.submit(job_in(tmp_path / "a", WITH_FILES))
    older = replace(run, id="older-aaaaaa", mounts_json="{}", folder=str(tmp_path / "older"))
    place.app.store.add_run(older, "older")
    Path(older.folder).mkdir()
    place.launched()
    task = next(r.task for r in place.engine.world.launches if r.run_id == older.id)
    assert task["file_mounts"]["/data"] == "./data"
    assert task["workdir"] == f"{tmp_path}/a/code"


def with_storage(folder: Path, storage: str | None) -> Place:
    made = SkyPilotSettings(storage=storage)
    return Place(folder, engine="skypilot", source=folder / "settings.yaml", skypilot=made)


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        (None, "skypilot.storage is not set"),
        ("runs", "skypilot.storage: runs is a relative path: nodes count it from another folder; write the whole path"),
        ("nonsense://bucket/x", "skypilot.storage: nodes cannot open nonsense://; use one of s3, gs, gcs, az"),
        ("/no/such/folder", "skypilot.storage: /no/such/folder is no folder here; make it, on a drive that the nodes"),
    ],
)
def test_a_storage_that_cannot_be_used_is_refused_as_doctor_says_it_and_nothing_is_written(
    tmp_path: Path, storage: str | None, says: str
) -> None:
    place = with_storage(tmp_path, storage)
    prepared = prepare(place.app, job_in(tmp_path / "a"))
    assert any(f"{tmp_path}/settings.yaml: {says}" in note for note in prepared.plan.notes)
    with pytest.raises(InputError) as caught:
        submit(place.app, prepared)
    assert str(caught.value).startswith(f"{tmp_path}/settings.yaml: {says}")
    assert place.app.store.runs() == []
    assert not (tmp_path / "home" / "runs").exists()
    assert not Path("/no/such").exists()


def test_a_storage_in_the_home_is_the_submitters_home_on_every_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "shared").mkdir()
    run, _ = with_storage(tmp_path, "~/shared/").submit(job_in(tmp_path / "a"))
    assert run.storage == f"{tmp_path}/shared/{run.id}"


SWEEP = """\
name: digits-sweep
team: vision
resources: {accelerators: T4:1}
run: "true"
deadline: 400h
sweep:
  metric: acc
  goal: maximize
  trials: 8
  space: {lr: {type: float, low: 0.0, high: 1.0}}
"""


def keep_studies(place: Place, count: int = 3, seconds: float = 7200.0, gib: float | None = None) -> None:
    place.engine.cost_basis = CostBasis.ESTIMATED  # what an import says counts on a real market alone
    for number in range(count):
        trials = tuple(
            TrialRecord(
                *(n, {"lr": n / 10}, TrialState.COMPLETED, -abs(n - 4 - number / 10)),
                seconds=seconds,
                gpu_memory_gib=gib,
            )
            for n in range(10)
        )
        space = {"lr": {"type": "float", "low": 0.0, "high": 1.0}}
        created = place.app.clock.now()
        place.app.store.save_study(
            StudyRecord(f"past-{number}", "digits", "acc", "maximize", space, created, trials=trials)
        )


def test_a_sweep_without_hours_is_planned_and_steered_by_its_related_studies(place: Place, tmp_path: Path) -> None:
    keep_studies(place)
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP)
    prepared = prepare(place.app, path)
    assert prepared.plan.work.hours == pytest.approx(16.0)
    assert "from 3 studies: 2 h a trial (2-2)" in prepared.plan.work.source
    run, _ = submit(place.app, prepared)
    assert run.predicted_usd is not None
    assert json.loads(run.plan_json)["expected_saving"]["studies"] == 3
    forget_studies(place.app.store, [f"past-{number}" for number in range(3)])
    app = place.app
    situation, _ = SituationReader(app.store, app.engine, app.settings, app.clock).situation(
        run, prepared.job, workload_for(run, prepared.job), [], None
    )
    assert situation.work_is_known


def test_a_sweep_keeps_off_gpus_that_its_related_studies_trials_would_not_fit_on(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_studies(place, gib=20.0)
    monkeypatch.setattr(place.engine, "one_machine", False)
    small = place.engine.offers()[0]
    large = replace(small, accelerator="A100", price_usd_per_hour=10 * small.price_usd_per_hour)
    monkeypatch.setattr(place.engine, "offers", lambda: [small, large])
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP.replace("T4:1", "{T4: 1, A100: 1}"))
    prepared = prepare(place.app, path)
    assert prepared.plan.chosen is not None
    assert prepared.plan.chosen.offer == large
    run, _ = submit(place.app, prepared)
    forget_studies(place.app.store, [f"past-{number}" for number in range(3)])
    app = place.app
    situation, _ = SituationReader(app.store, app.engine, app.settings, app.clock).situation(
        run, prepared.job, workload_for(run, prepared.job), [], None
    )
    assert [candidate.offer for candidate in situation.candidates] == [large]


def test_a_sweep_that_uses_no_past_study_is_not_planned_by_any(place: Place, tmp_path: Path) -> None:
    keep_studies(place)
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP + "  priors: none\n")
    plan = prepare(place.app, path).plan
    assert (plan.work.hours, plan.trial_hours) == (None, None)
    assert plan.priors == ("none are used, as the job file says",)
    assert plan.warm_start is not None
    assert plan.warm_start.saving is None


def test_a_deadline_that_related_trials_cannot_meet_is_refused(place: Place, tmp_path: Path) -> None:
    keep_studies(place, seconds=36000.0)
    path = tmp_path / "sweep.yaml"
    path.write_text(SWEEP.replace("400h", "10h"))
    assert "cannot be met" in prepare(place.app, path).plan.refusals[0]
