"""From a job file to an admitted run: what is looked up once, and what is refused before anything is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeEngine

from spotwise.scheduler.app import App
from spotwise.scheduler.clock import ManualClock, SystemClock
from spotwise.scheduler.engines.base import LaunchRequest
from spotwise.scheduler.run import Run
from spotwise.scheduler.settings import Settings
from spotwise.scheduler.store import Store
from spotwise.scheduler.submission import prepare, submit
from spotwise.scheduler.supervisor import Supervisor

JOB = """\
name: digits
resources: {accelerators: T4:1}
checkpoint: {every: 1 epochs}
work: {epochs: 10, hours: 2}
run: sleep 7200
"""


class Place:
    """An installation whose engine is in memory, and what was asked of that."""

    def __init__(self, folder: Path) -> None:
        clock = ManualClock(SystemClock().now())
        self.engine = FakeEngine(clock)
        settings = Settings(home=folder / "home", engine="local")
        self.app = App(settings.home, settings, Store.open(settings.store_url), clock, {"local": self.engine})

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
