from __future__ import annotations

import pytest

from spotwise.scheduler.core.event_kind import ATTEMPT_ENDS, EventKind, event_kind
from spotwise.scheduler.core.run import AttemptState


@pytest.mark.parametrize("kind", EventKind)
def test_a_kind_is_read_as_it_was_written(kind: EventKind) -> None:
    assert event_kind(str(kind)) is kind


def test_a_kind_of_a_newer_version_stays_the_text_that_it_is() -> None:
    assert event_kind("teleported") == "teleported"


def test_each_end_of_an_attempt_has_its_kind() -> None:
    assert sorted(ATTEMPT_ENDS) == sorted(state.value for state in AttemptState if state.is_final)
