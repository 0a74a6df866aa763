"""From a job file to an admitted run: what is looked up once, and what is refused before anything is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine

from spotwise.scheduler.core.clock import ManualClock, SystemClock
from spotwise.scheduler.core.code_version import CodeMode, CodeVersion
from spotwise.scheduler.core.errors import InputError
from spotwise.scheduler.core.run import AttemptState, CostBasis, Run
from spotwise.scheduler.core.study import StudyRecord, TrialRecord, TrialState
from spotwise.scheduler.engines.base import LaunchRequest
from spotwise.scheduler.execution.context import App
from spotwise.scheduler.execution.situation import SituationReader
from spotwise.scheduler.execution.submission import prepare, submit
from spotwise.scheduler.execution.supervisor import Supervisor
from spotwise.scheduler.execution.workloads import checkpoint_url, workload_for
from spotwise.scheduler.jobfile.settings import Settings, SkyPilotSettings
from spotwise.scheduler.node_agent.end_cause import EndCause
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


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


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
    assert CodeVersion.of_json(place.app.store.runs()[0].code_json).source == f"{mine}/code"
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
    then = {"mounts_json": "{}", "code_json": "{}", "workdir": f"{tmp_path}/a/code"}
    older = replace(run, id="older-aaaaaa", folder=str(tmp_path / "older"), **then)
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


def code_of(run: Run) -> CodeVersion:
    found = CodeVersion.of_json(run.code_json)
    assert found is not None
    return found


def test_what_is_edited_after_submission_does_not_reach_the_run(place: Place, tmp_path: Path) -> None:
    job = job_in(tmp_path / "a", "workdir: code\n")
    (tmp_path / "a/code/train.py").write_text("print(1)")
    run, _ = place.submit(job)
    (tmp_path / "a/code/train.py").write_text("print(2)")
    work = Path(place.launched().workdir)
    assert (work / "train.py").read_text() == "print(1)"
    assert code_of(run).mode is CodeMode.SNAPSHOT
    (tmp_path / "a/code/train.py").write_text("print(1)")
    again, _ = submit(place.app, prepare(place.app, job), again=True)
    assert again.id != run.id
    assert code_of(again).fingerprint == code_of(run).fingerprint != ""


def test_skypilot_is_given_the_snapshot_and_nothing_where_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    place = with_storage(tmp_path, str(tmp_path / "shared"))
    run, _ = place.submit(job_in(tmp_path / "a", "workdir: code\n"))
    assert place.launched().task["workdir"] == f"{place.app.home}/code/{code_of(run).fingerprint}"
    bare, _ = place.submit(job_in(tmp_path / "b"))
    assert bare.code_json == "{}"


def test_live_code_is_a_choice_that_plan_and_run_show(place: Place, tmp_path: Path) -> None:
    job = job_in(tmp_path / "a", "workdir: code\ncode: live\n")
    assert any(note.startswith("code: live: ") for note in prepare(place.app, job).plan.notes)
    run, _ = place.submit(job)
    assert (run.workdir, code_of(run).short) == (f"{tmp_path}/a/code", "live")


def test_a_relative_checkpoint_folder_counts_from_the_folder_of_the_submission(place: Place, tmp_path: Path) -> None:
    job = job_in(tmp_path / "a", "workdir: code\n")
    job.write_text(job.read_text().replace("every: 1 epochs", "every: 1 epochs, to: kept"))
    run, _ = place.submit(job)
    assert checkpoint_url(run) == f"{tmp_path}/a/code/kept/{run.id}"


def test_code_that_is_gone_ends_the_attempt_with_what_to_do(place: Place, tmp_path: Path) -> None:
    run, _ = place.submit(job_in(tmp_path / "a", "workdir: code\n"))
    shutil.rmtree(place.app.home / "code")
    supervisor = Supervisor(place.app.store, place.app.engine, place.app.settings, place.app.clock)
    supervisor.tick()
    (attempt,) = place.app.store.attempts(run.id)
    assert (attempt.state, attempt.end_cause) == (AttemptState.FAILED, EndCause.LAUNCH_FAILED)
    assert "is gone; submit it again" in attempt.end_reason


def test_the_history_names_the_code(place: Place, tmp_path: Path) -> None:
    run, _ = place.submit(job_in(tmp_path / "a", "workdir: code\n"))
    (change,) = [each for each in place.app.store.changes(run.id) if each.field == "code"]
    assert change.after == code_of(run).text
