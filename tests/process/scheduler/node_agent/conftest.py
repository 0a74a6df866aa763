from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from node_agents import Attempt


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    """An attempt whose nodes see the run's folder; nothing of it is left after the test."""
    made = Attempt(tmp_path)
    yield made
    made.end()
