"""When a checkpoint is due."""

from __future__ import annotations

import pytest

from spotwise.checkpoints import Every, SettingsError, TrainingPosition, parse_every

START = TrainingPosition()


@pytest.mark.parametrize(
    ("every", "last", "now", "minutes", "due"),
    [
        # every      last saved at        now at               minutes  due   why
        ("1 epochs", START, TrainingPosition(1, 10), 0.0, True),  #                  1 - 0 >= 1
        ("1 epochs", START, TrainingPosition(0, 9, 9), 99.0, False),  #              the epoch is not over
        ("2 epochs", START, TrainingPosition(1, 10), 0.0, False),  #                 1 - 0 < 2
        ("2 epochs", TrainingPosition(1, 10), TrainingPosition(3, 30), 0.0, True),  #        3 - 1 >= 2
        (
            "2 epochs",
            TrainingPosition(1, 13, 3),
            TrainingPosition(2, 20),
            0.0,
            False,
        ),  #    an early save in epoch 1 counts as one in it
        ("100 steps", START, TrainingPosition(0, 99, 99), 0.0, False),  #            99 < 100
        ("100 steps", START, TrainingPosition(0, 100, 100), 0.0, True),  #           100 >= 100
        ("100 steps", TrainingPosition(0, 60, 60), TrainingPosition(2, 159), 0.0, False),  # 159 - 60 < 100
        ("5 minutes", START, TrainingPosition(0, 1, 1), 4.9, False),
        ("5 minutes", START, TrainingPosition(0, 1, 1), 5.0, True),
        ("0.5 minutes", START, TrainingPosition(0, 1, 1), 0.6, True),
        ("5 minutes", TrainingPosition(1, 10), TrainingPosition(1, 10), 60.0, False),  #     nothing was done since
    ],
)
def test_due(every: str, last: TrainingPosition, now: TrainingPosition, minutes: float, due: bool) -> None:
    assert parse_every(every).is_due(last, now, minutes) is due


@pytest.mark.parametrize("text", ["1 epoch", "1 epochs", " 1epochs ", "1 EPOCHS"])
def test_spelling_does_not_matter(text: str) -> None:
    assert parse_every(text) == Every(1, parse_every("1 epochs").unit)


@pytest.mark.parametrize("text", ["2 epochs", "100 steps", "0.5 minutes", "5 minutes"])
def test_an_interval_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_every(text)) == text


@pytest.mark.parametrize("text", ["", "epochs", "2", "2 hours", "-1 epochs", "0 steps", "1.5 epochs", "auto"])
def test_what_is_no_interval_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="checkpoint interval"):
        parse_every(text)
