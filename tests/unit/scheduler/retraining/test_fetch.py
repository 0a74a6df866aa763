"""The newest checkpoint is found and copied, wherever a run has put it."""

from __future__ import annotations

from pathlib import Path

from spotwise.checkpoints import Session, SessionSettings, TrainingPosition, latest_checkpoint
from spotwise.scheduler.retraining.fetch import newest_checkpoint


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
    found = newest_checkpoint(str(tmp_path / "checkpoints"), tmp_path / "scratch")
    assert found is not None
    assert found.folder.parent == tmp_path / "checkpoints"
    assert (found.epoch, found.metrics) == (3, {"loss": 1.0})


def test_a_remote_checkpoint_is_copied_whole_and_verifies(tmp_path: Path) -> None:
    train("memory://fetch-test/run", tmp_path)
    found = newest_checkpoint("memory://fetch-test/run", tmp_path / "scratch")
    assert found is not None
    copied = latest_checkpoint(str(tmp_path / "scratch"))
    assert copied is not None
    assert copied.name == found.folder.name
    assert (found.epoch, found.metrics) == (copied.position.epoch, copied.metrics)
    assert copied.position == TrainingPosition(epoch=3, step=copied.position.step, batch=0)


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert newest_checkpoint(str(tmp_path / "nothing"), tmp_path / "scratch") is None
