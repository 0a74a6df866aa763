"""A training that has finished stays finished, whatever becomes of the program afterwards."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from spotwise.checkpoints import (
    Every,
    ProgressEvent,
    ProgressRecord,
    Session,
    SessionSettings,
    Unit,
    latest_checkpoint,
    read_progress,
    says_finished,
)
from spotwise.checkpoints.errors import CorruptError
from spotwise.checkpoints.manifest import decode_manifest
from spotwise.checkpoints.storage import LocalStorage

TOTAL, PATIENCE_ENDS_AT = 30, 5


def trained(session: Session, total: int = TOTAL, stop_after: int = PATIENCE_ENDS_AT) -> list[int]:
    """The epochs that a program with early stopping trains, which calls ``finish()`` and then would export."""
    epochs = []
    for epoch in session.epochs(total):
        epochs.append(epoch)
        session.report(loss=1 / (epoch + 1))
        if len(epochs) == stop_after:
            break
    session.finish()
    return epochs


def manifest_path(folder: Path) -> Path:
    (path,) = (folder / "checkpoints").glob(f"step-{PATIENCE_ENDS_AT:09d}/manifest.json")
    return path


@pytest.mark.parametrize("every", [Every(1, Unit.EPOCHS), Every(100, Unit.EPOCHS)])
def test_a_training_that_ended_early_trains_no_further_after_a_restart(
    training: Callable[..., Any], tmp_path: Path, every: Every
) -> None:
    """Whether its last epoch was saved when due, or by ``finish()``."""
    assert trained(training(every=every).session) == [0, 1, 2, 3, 4]
    for _ in range(3):
        again = training(every=every).session
        assert again.restored.finished
        assert trained(again) == []
    newest = latest_checkpoint(str(tmp_path / "checkpoints"))
    assert (newest.position.epoch, newest.finished) == (PATIENCE_ENDS_AT, True)


def test_a_finished_training_without_more_to_train_says_so_in_its_progress(
    training: Callable[..., Any], tmp_path: Path
) -> None:
    trained(training().session)
    for _ in training(attempt=2).session.epochs(TOTAL):
        pytest.fail("an epoch was trained")
    newest = read_progress(str(tmp_path / "progress.jsonl"))[-1]
    assert (newest.event, newest.attempt, newest.epoch) == (ProgressEvent.FINISHED, 2, PATIENCE_ENDS_AT)


def test_a_program_killed_before_it_called_finish_goes_on(training: Callable[..., Any]) -> None:
    session = training().session
    for epoch in session.epochs(TOTAL):
        session.report(loss=1)
        if epoch == 3:
            break
    assert next(iter(training().session.epochs(TOTAL))) == 4


def test_more_epochs_than_a_training_was_asked_for_and_did_are_trained(training: Callable[..., Any]) -> None:
    assert len(trained(training().session, total=3)) == 3
    assert trained(training().session, total=3) == []
    assert trained(training().session, total=5) == [3, 4]


def test_more_epochs_do_not_open_a_training_that_ended_early(training: Callable[..., Any]) -> None:
    trained(training().session)
    assert trained(training().session, total=TOTAL + 10) == []


def test_every_rank_knows_that_training_has_finished(training: Callable[..., Any]) -> None:
    trained(training().session)
    assert trained(training(rank=1).session) == []


def test_a_finished_training_in_a_bucket_is_remembered_there(training: object, tmp_path: Path) -> None:
    url = f"memory://{tmp_path.name}"
    settings = SessionSettings(f"{url}/checkpoints", f"{url}/progress.jsonl")
    assert [len(trained(Session(settings, {}))) for _ in range(2)] == [PATIENCE_ENDS_AT, 0]


def test_the_random_state_after_a_finished_training_is_that_of_its_end(training: Callable[..., Any]) -> None:
    """What a program draws while exporting does not depend on its machine having been lost."""
    trained(training().session)
    drawn = random.random()
    trained(training().session)
    assert random.random() == drawn


def test_a_manifest_of_a_version_before_is_read_as_not_finished(training: Callable[..., Any], tmp_path: Path) -> None:
    trained(training().session)
    path = manifest_path(tmp_path)
    values = json.loads(path.read_text())
    del values["finished"], values["total_epochs"]
    path.write_text(json.dumps(values))
    session = training().session
    assert session.restored.epoch == PATIENCE_ENDS_AT
    assert next(iter(session.epochs(TOTAL))) == PATIENCE_ENDS_AT


@pytest.mark.parametrize("finished", ["yes", 1, "false"])
def test_a_manifest_that_is_unclear_about_it_is_damaged(
    training: Callable[..., Any], tmp_path: Path, finished: object
) -> None:
    trained(training().session)
    values = {**json.loads(manifest_path(tmp_path).read_text()), "finished": finished}
    with pytest.raises(CorruptError, match="finished"):
        decode_manifest(json.dumps(values).encode(), source="manifest.json")


class ReadOnlyManifests(LocalStorage):
    """Takes each manifest once."""

    def put(self, name: str, data: bytes) -> None:
        if (Path(self.url) / name).exists():
            raise OSError("read-only")
        super().put(name, data)


def test_a_mark_that_cannot_be_written_is_a_warning(
    training: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All is saved: a run that ends well does not fail for it."""
    trained(training(storage=ReadOnlyManifests(tmp_path / "checkpoints")).session)
    assert "will not know" in caplog.text
    assert read_progress(str(tmp_path / "progress.jsonl"))[-1].event is ProgressEvent.FINISHED


def records(*events: ProgressEvent) -> list[ProgressRecord]:
    return [ProgressRecord(event, datetime(2026, 11, 23, tzinfo=UTC)) for event in events]


def test_progress_says_finished_until_more_is_trained() -> None:
    started, progress, finished = ProgressEvent.STARTED, ProgressEvent.PROGRESS, ProgressEvent.FINISHED
    assert not says_finished(records())
    assert not says_finished(records(started, progress, ProgressEvent.STOPPING))
    assert says_finished(records(started, progress, finished))
    assert says_finished(records(started, progress, finished, started))
    assert not says_finished(records(started, progress, finished, started, progress))
