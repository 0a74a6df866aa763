"""A minute of what `make chaos` does for longer."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import campaign_on
from databases import KINDS, empty_database

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_killed_frozen_or_damaged_nothing_is_lost_done_twice_or_billed_wrongly(
    kind: str, tmp_path: Path
) -> None:
    with empty_database(kind, tmp_path) as database:
        findings = campaign_on(tmp_path, database, seed=11, seconds=60)
    assert findings.wrong == []
    assert findings.injected.total() >= 5  # on whatever machine: a campaign that does nothing finds nothing
