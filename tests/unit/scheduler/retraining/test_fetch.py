"""The newest checkpoint is found and copied, wherever a run has put it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from spotwise.checkpoints import (
    CheckpointFolder,
    Manifest,
    Session,
    SessionSettings,
    TrainingPosition,
    latest_checkpoint,
    storage_for,
)
from spotwise.scheduler.jobfile.job_spec import parse_job
from spotwise.scheduler.retraining.fetch import fetch_checkpoint, judged_checkpoint


class Counter:
    """The least that can be saved."""

    def __init__(self) -> None:
        self.epochs = 0

    def state_dict(self) -> dict[str, int]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epochs = state["epochs"]


def train(url: str, tmp_path: Path) -> None:
    environ = {"SPOTWISE_CHECKPOINT_URL": url, "SPOTWISE_PROGRESS_URL": str(tmp_path / "progress.jsonl")}
    counter = Counter()
    session = Session(SessionSettings.from_env(environ), {"counter": counter})
    for _ in session.epochs(3):
        counter.epochs += 1
        session.report(loss=1.0)


def test_a_local_checkpoint_is_used_where_it_lies(tmp_path: Path) -> None:
    train(str(tmp_path / "checkpoints"), tmp_path)
    found = fetch_checkpoint(str(tmp_path / "checkpoints"), tmp_path / "scratch")
    assert found is not None
    assert found.folder.parent == tmp_path / "checkpoints"
    assert (found.epoch, found.metrics) == (3, {"loss": 1.0})


def test_a_remote_checkpoint_is_copied_whole_and_verifies(tmp_path: Path) -> None:
    train("memory://fetch-test/run", tmp_path)
    found = fetch_checkpoint("memory://fetch-test/run", tmp_path / "scratch")
    assert found is not None
    copied = latest_checkpoint(str(tmp_path / "scratch"))
    assert copied is not None
    assert copied.name == found.folder.name
    assert (found.epoch, found.metrics) == (copied.position.epoch, copied.metrics)
    assert copied.position == TrainingPosition(epoch=3, step=copied.position.step, batch=0)


RETRAIN = (
    "run: x\nretrain: {model: m, triggers: {calendar: {at: 02:00}}, gate: {metric: loss, goal: minimize, by: %s}}\n"
)


@pytest.mark.parametrize(("by", "epoch", "loss"), [("last_epoch", 4, 0.5), ("best_epoch", 2, 0.2)])
@pytest.mark.parametrize("bucket", [False, True])
def test_the_gate_judges_the_newest_checkpoint_or_the_best_as_asked(
    tmp_path: Path, by: str, epoch: int, loss: float, bucket: bool
) -> None:
    job = parse_job(RETRAIN % by, source="job.yaml")
    url = f"memory://judged-{by}" if bucket else str(tmp_path / "checkpoints")
    settings = SessionSettings(url, str(tmp_path / "progress.jsonl"), keep=1, keep_best=job.best_kept)
    session = Session(settings, {"counter": Counter()})
    for done in session.epochs(4):
        session.report(loss=[0.9, 0.2, 0.3, 0.5][done])
    judged = judged_checkpoint(job, url, tmp_path / "scratch")
    assert judged is not None
    assert (judged.epoch, judged.metrics) == (epoch, {"loss": loss})
    assert (judged.folder / "manifest.json").is_file()


def test_a_gate_by_the_best_epoch_has_nothing_to_judge_where_none_holds_its_metric(tmp_path: Path) -> None:
    train(str(tmp_path / "checkpoints"), tmp_path)
    job = parse_job((RETRAIN % "best_epoch").replace("loss", "val_loss"), source="job.yaml")
    assert judged_checkpoint(job, str(tmp_path / "checkpoints"), tmp_path / "scratch") is None


def test_files_in_folders_of_their_own_are_copied_too(tmp_path: Path) -> None:
    """A program may shard what it saves."""
    url = "memory://fetch-shards"
    draft = Manifest(TrainingPosition(1, 1), datetime(2026, 11, 23, tzinfo=UTC))
    CheckpointFolder(storage_for(url)).commit(draft, "shards/0/model.bin", lambda stream: stream.write(b"weights"))
    found = fetch_checkpoint(url, tmp_path / "scratch")
    assert found is not None
    assert (found.folder / "shards" / "0" / "model.bin").read_bytes() == b"weights"


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert fetch_checkpoint(str(tmp_path / "nothing"), tmp_path / "scratch") is None
