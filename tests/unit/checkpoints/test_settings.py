"""What the environment says."""

from __future__ import annotations

import pytest

from spotwise.checkpoints import SessionSettings, SettingsError, parse_every


def test_without_a_scheduler_everything_has_a_default() -> None:
    assert SessionSettings.from_env({}) == SessionSettings()


def test_everything_the_scheduler_says_is_read() -> None:
    settings = SessionSettings.from_env(
        {
            "SPOTWISE_CHECKPOINT_URL": "s3://bucket/run/",
            "SPOTWISE_CHECKPOINT_EVERY": "100 steps",
            "SPOTWISE_CHECKPOINT_KEEP": "5",
            "SPOTWISE_PROGRESS_URL": "/home/progress.jsonl",
            "SPOTWISE_ATTEMPT": "4",
            "SPOTWISE_HPARAMS": '{"lr": 0.1, "optimizer": "adam"}',
            "SPOTWISE_SAVE_REQUEST": "/run/save-now",
        }
    )
    assert settings == SessionSettings(
        checkpoint_url="s3://bucket/run",
        progress_url="/home/progress.jsonl",
        every=parse_every("100 steps"),
        keep=5,
        attempt=4,
        hparams={"lr": 0.1, "optimizer": "adam"},
        save_request="/run/save-now",
    )


def test_progress_lies_beside_the_checkpoints_unless_told() -> None:
    assert SessionSettings.from_env({"SPOTWISE_CHECKPOINT_URL": "/a/b"}).progress_url == "/a/b/progress.jsonl"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPOTWISE_CHECKPOINT_KEEP", "0"),
        ("SPOTWISE_CHECKPOINT_KEEP", "many"),
        ("SPOTWISE_ATTEMPT", "-1"),
        ("SPOTWISE_HPARAMS", "{lr: 1}"),
        ("SPOTWISE_HPARAMS", "[1]"),
    ],
)
def test_a_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        SessionSettings.from_env({name: value})
