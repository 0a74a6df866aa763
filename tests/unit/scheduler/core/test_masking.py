"""No value of a secret is left in a text that is stored or shown, however it was printed."""

from __future__ import annotations

import json

import pytest

from spotwise.scheduler.core.masking import masked

KEY = "-----BEGIN KEY-----\nAbCdEfGh\nIj\n-----END KEY-----\n"


@pytest.mark.parametrize(
    "printed",
    [
        KEY,
        f"the key is {KEY!r}",
        json.dumps({"key": KEY}),
        "  | AbCdEfGh\n  | and more",
        "\t-----BEGIN KEY-----\r\n\tAbCdEfGh\r\n",
    ],
)
def test_a_secret_of_several_lines_is_masked_in_whichever_lines_it_is_printed(printed: str) -> None:
    found = masked(printed, [KEY])
    assert "AbCdEfGh" not in found
    assert "BEGIN" not in found
    assert "***" in found


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    assert masked("pass passport", ["pass", "passport"]) == "*** ***"


def test_a_value_that_stands_in_any_text_is_left() -> None:
    assert masked("epoch 3 of 30", ["3", "", "of"]) == "epoch 3 of 30"
