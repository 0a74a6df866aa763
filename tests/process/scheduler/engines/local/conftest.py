from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from machines import end_everything_under

from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.engines.local.engine import LocalEngine
from spotwise.scheduler.engines.local.market import EmulatedMarket


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home in which everything that was started is ended after the test."""
    yield tmp_path
    end_everything_under(tmp_path)


@pytest.fixture
def make_engine(home: Path) -> Callable[[EmulatedMarket | None], LocalEngine]:
    return lambda market: LocalEngine(home, market, SystemClock())
