"""Worlds for nightlies to run in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from retraining_world import World


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    """Worlds apart from each other."""

    def make(name: str = "home", **settings: Any) -> World:
        return World(tmp_path / name, **settings)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
