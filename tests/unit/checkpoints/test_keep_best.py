"""The best checkpoint stays besides the newest ones, and is found again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spotwise.checkpoints import (
    BestBy,
    Better,
    Every,
    SessionSettings,
    SettingsError,
    Unit,
    best_checkpoint,
    latest_checkpoint,
    parse_best_by,
)

LOSS = BestBy("val_loss", Better.MINIMIZE)
ACCURACY = BestBy("val_accuracy", Better.MAXIMIZE)


def train(training: Any, losses: list[float], total: int | None = None, **settings: Any) -> None:
    """Epochs with these losses, in one process; interrupted before ``total``."""
    settings = {"keep": 1, "keep_best": LOSS, **settings}
    session = training(**settings).session
    for epoch in session.epochs(total or len(losses)):
        for _ in session.batches(range(2)):
            session.step()
        session.report(val_loss=losses[epoch], val_accuracy=1 - losses[epoch])
        if epoch == len(losses) - 1:
            break


def kept(folder: Path) -> list[int]:
    """Steps of the checkpoints that are there."""
    names = [path.parent.name for path in (folder / "checkpoints").glob("*/manifest.json")]
    return sorted(int(name.removeprefix("step-")) for name in names)


def best(folder: Path, by: BestBy = LOSS) -> int:
    return best_checkpoint(str(folder / "checkpoints"), by).position.epoch


def test_the_best_epoch_stays_besides_the_newest(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.9, 0.3, 0.5, 0.4])
    assert kept(tmp_path) == [4, 8]
    assert best(tmp_path) == 2
    assert latest_checkpoint(str(tmp_path / "checkpoints")).position.epoch == 4


def test_without_it_only_the_newest_stay(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.9, 0.3, 0.5, 0.4], keep_best=None)
    assert kept(tmp_path) == [8]


def test_what_is_better_depends_on_the_goal(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.9, 0.3, 0.5, 0.4], keep_best=ACCURACY)
    assert best(tmp_path, ACCURACY) == 2
    train(training, [0.9, 0.3, 0.5, 0.4, 0.6], keep_best=BestBy("val_accuracy", Better.MINIMIZE))
    assert best(tmp_path, BestBy("val_accuracy", Better.MINIMIZE)) == 5


def test_a_best_epoch_is_saved_though_none_is_due(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.9, 0.8, 0.3, 0.5, 0.4, 0.6], every=Every(6, Unit.EPOCHS))
    assert kept(tmp_path) == [6, 12]
    assert best(tmp_path) == 3


def test_of_equals_the_earliest_stays(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.5, 0.3, 0.3, 0.3])
    assert best(tmp_path) == 2


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_what_is_no_number_is_never_the_best(training: Callable[..., Any], tmp_path: Path, value: float) -> None:
    train(training, [0.5, value, 0.6])
    assert best(tmp_path) == 1


def test_the_best_of_an_earlier_process_is_known(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.9, 0.3], total=4)
    train(training, [0.9, 0.3, 0.5, 0.4], every=Every(4, Unit.EPOCHS))
    assert kept(tmp_path) == [4, 8]


def test_a_checkpoint_within_an_epoch_is_not_the_best(training: Callable[..., Any], tmp_path: Path) -> None:
    """Its metrics are those of the weights before."""
    train(training, [0.3, 0.5, 0.6], every=Every(1, Unit.STEPS))
    assert best(tmp_path) == 1
    assert kept(tmp_path) == [2, 6]


def test_a_damaged_best_is_passed_over(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.9, 0.3, 0.5, 0.4])
    (data,) = (tmp_path / "checkpoints" / "step-000000004").glob("state*")
    data.write_bytes(b"")
    assert best(tmp_path) == 4


def test_nothing_with_the_metric_is_no_best(training: Callable[..., Any], tmp_path: Path) -> None:
    train(training, [0.9])
    assert best_checkpoint(str(tmp_path / "checkpoints"), BestBy("f1", Better.MAXIMIZE)) is None


def test_the_environment_tells_what_is_best() -> None:
    settings = SessionSettings.from_env({"SPOTWISE_CHECKPOINT_KEEP_BEST": "minimize val_loss"})
    assert settings.keep_best == LOSS
    assert parse_best_by(str(ACCURACY)) == ACCURACY
    assert SessionSettings.from_env({}).keep_best is None


@pytest.mark.parametrize("text", ["val_loss", "min val_loss", "minimize", "minimize  ", "", "maximise x"])
def test_what_does_not_tell_a_best_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="maximize METRIC"):
        parse_best_by(text)
