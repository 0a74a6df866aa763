from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from installation import Installation


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    """An installation without a market: this machine, free of charge."""
    made = Installation(tmp_path)
    made.settings()
    yield made
    made.close()
