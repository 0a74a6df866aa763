"""What the documentation shows works: job files plan, snippets compile, formats are read, a program runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spotwise.checkpoints import EXIT_PREEMPTED, latest_checkpoint, read_progress
from spotwise.checkpoints.manifest import decode_manifest
from spotwise.checkpoints.progress import ProgressEvent, decode_record
from spotwise.scheduler.execution.context import App
from spotwise.scheduler.execution.submission import prepare
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.jobfile.validation_errors import dotted_keys
from spotwise.scheduler.tuning.exchange.file import read_export
from spotwise.scheduler.tuning.exchange.found import ImportOptions
from spotwise.scheduler.tuning.exchange.schema import study_file_schema
from spotwise.scheduler.tuning.study.events import event_from_json

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
JOBS = sorted(
    path
    for pattern in ("configs/jobs/*.yaml", "configs/sweeps/*.yaml", "configs/nightly/*.yaml", "recipes/*/job.yaml")
    for path in REPOSITORY.glob(pattern)
)
Fenced = Callable[[Path, str], list[str]]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """An empty installation with the demo market of a clone."""
    monkeypatch.setenv("SPOTWISE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SPOTWISE_SETTINGS", raising=False)
    opened = App.open(REPOSITORY / "configs" / "settings.yaml")
    yield opened
    opened.store.close()


@pytest.mark.parametrize("path", JOBS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_example_is_admitted_on_the_demo_market(path: Path, app: App) -> None:
    plan = prepare(app, path).plan
    assert plan.refusals == ()
    assert plan.chosen is not None
    assert plan.cost_basis == "emulated"


@pytest.mark.parametrize("page", ["README.md", "docs/files.md"])
def test_job_files_shown_are_admitted_as_they_stand(page: str, app: App, tmp_path: Path, fenced: Fenced) -> None:
    (shown,) = fenced(REPOSITORY / page, "yaml")
    parse_job(shown, source=page)
    job = tmp_path / "job.yaml"
    job.write_text(shown, encoding="utf-8")
    assert prepare(app, job).plan.refusals == ()


def test_the_readmes_job_is_a_skypilot_task_and_four_keys(fenced: Fenced) -> None:
    (shown,) = fenced(REPOSITORY / "README.md", "yaml")
    task, ours = (part.split("\n") for part in shown.split("\n\n"))
    assert [line.split(":")[0] for line in task] == ["name", "workdir", "resources", "run"]
    assert [line.split(":")[0] for line in ours if line] == ["deadline", "budget", "checkpoint", "work"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_python_shown_compiles(page: Path, fenced: Fenced) -> None:
    for snippet in fenced(page, "python"):
        compile(snippet, str(page), "exec")


def test_the_readme_shows_how_to_keep_training(fenced: Fenced) -> None:
    (snippet,) = fenced(REPOSITORY / "README.md", "python")
    assert "from spotwise.checkpoints import Session" in snippet


def test_the_formats_shown_are_those_that_are_read(fenced: Fenced) -> None:
    progress, manifest, events = fenced(REPOSITORY / "docs" / "files.md", "json")
    record = decode_record(progress.encode())
    assert record is not None
    assert record.event is ProgressEvent.PROGRESS
    read = decode_manifest(manifest.encode(), source="files.md")
    assert (read.name, list(read.files)) == ("step-000000069", ["state.pt"])
    assert len([event_from_json(json.loads(line)) for line in events.splitlines()]) == 5


def test_the_program_without_a_library_survives_a_notice_and_a_damaged_checkpoint(
    tmp_path: Path, fenced: Fenced
) -> None:
    """Told to leave it exits with 75; its newest checkpoint damaged, it goes on from the one before; it finishes."""
    (program,) = fenced(REPOSITORY / "docs" / "files.md", "python")
    (tmp_path / "train.py").write_text(program, encoding="utf-8")
    checkpoints, progress = tmp_path / "checkpoints", str(tmp_path / "progress.jsonl")
    environment = {**os.environ, "SPOTWISE_CHECKPOINT_URL": str(checkpoints), "SPOTWISE_PROGRESS_URL": progress}
    environment |= {"EPOCHS": "6", "EPOCH_SECONDS": "0.1"}

    first = subprocess.Popen([sys.executable, "train.py"], cwd=tmp_path, env=environment)
    while len(list(checkpoints.glob("step-*/manifest.json"))) < 2:
        assert first.poll() is None
        time.sleep(0.01)
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == EXIT_PREEMPTED
    assert read_progress(progress)[-1].event is ProgressEvent.STOPPING
    saved = latest_checkpoint(str(checkpoints))
    assert saved is not None
    (checkpoints / saved.name / "state.json").write_text("{}")

    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env={**environment, "SPOTWISE_ATTEMPT": "2"}, check=True)
    second = [record for record in read_progress(progress) if record.attempt == 2]
    assert (second[0].event, second[0].epoch) == (ProgressEvent.STARTED, saved.position.epoch - 1)
    assert (second[-1].event, second[-1].epoch) == (ProgressEvent.FINISHED, 6)
    assert second[-1].metrics["total"] == 1 + 2 + 3 + 4 + 5 + 6


def test_the_export_is_described_key_by_key() -> None:
    page = (REPOSITORY / "docs" / "studies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \|", page.split("\n## The file\n")[1], re.MULTILINE)
    assert rows == dotted_keys(study_file_schema())


def test_the_export_shown_is_read(fenced: Fenced) -> None:
    (shown,) = fenced(REPOSITORY / "docs" / "studies.md", "json")
    (study,) = read_export(shown, "studies.md", ImportOptions()).studies
    assert study.best() is not None
