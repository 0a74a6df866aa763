from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

from spotwise.scheduler.engines.local.engine import NODE_MODULE
from spotwise.scheduler.engines.local.node import NodeClock


def test_the_nodes_time_follows_the_steady_clock_when_the_wall_clock_is_set_back() -> None:
    wall, steady = [1_000_000.0], [50.0]
    clock = NodeClock(lambda: wall[0], lambda: steady[0])
    before = clock.now()
    wall[0] -= 3600
    steady[0] += 2
    assert clock.now() - before == timedelta(seconds=2)
    assert before == datetime.fromtimestamp(1_000_000, UTC)


def test_a_node_imports_nothing_heavy() -> None:
    """One is started for every attempt."""
    heavy = {"numpy", "pydantic", "yaml", "sqlalchemy", "torch", "ray", "decimal", "asyncio"}
    code = f"import sys, {NODE_MODULE}; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert NODE_MODULE in modules
    assert heavy & set(modules) == set()
