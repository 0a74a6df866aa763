"""Values as JSON can hold them."""

from __future__ import annotations

import math

from spotwise.scheduler.core.json_values import finite_json


def test_numbers_that_json_does_not_have_are_null_however_deep_they_lie() -> None:
    assert finite_json({"a": [1.5, math.inf, (math.nan, "x")], "b": None, "c": 2}) == {
        "a": [1.5, None, [None, "x"]],
        "b": None,
        "c": 2,
    }
