"""Words that follow from a number."""

from __future__ import annotations

import pytest

from spotwise.scheduler.core.text import counted


@pytest.mark.parametrize(
    ("number", "one", "many", "text"),
    [
        (1, "run", "", "1 run"),
        (0, "run", "", "0 runs"),
        (1200, "trial", "", "1,200 trials"),
        (2, "study", "studies", "2 studies"),
    ],
)
def test_a_count_has_the_singular_for_one_only(number: int, one: str, many: str, text: str) -> None:
    assert counted(number, one, many) == text
