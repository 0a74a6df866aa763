from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from machines import make_market, make_request, seen_ended, spot_offer

from spotwise.scheduler.core.clock import SystemClock
from spotwise.scheduler.engines.local.engine import NODE_MODULE, LocalEngine
from spotwise.scheduler.engines.local.market import EmulatedMarket
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.runner import NodeClock

MakeEngine = Callable[[EmulatedMarket | None], LocalEngine]


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


def test_the_budget_holds_though_nobody_watches(home: Path, make_engine: MakeEngine) -> None:
    """No supervisor calls terminate(): the node tells the program itself, and ends it after the grace."""
    engine, clock = make_engine(make_market()), SystemClock()
    command = "trap 'exit 75' TERM; echo ready; while :; do sleep 0.05; done"
    lasts_s = 3.0  # from capacity on; on a busy machine the trap is not there much sooner
    request = make_request(home, spot_offer(engine), command, stop_after_s=lasts_s, stop_grace_s=20.0)
    asked_at = clock.now()
    handle = engine.launch(request)
    end = seen_ended(engine, handle, clock)
    assert (end.cause, end.exit_code) == (EndCause.TERMINATED, 75)
    assert end.ended_at is not None
    assert end.ended_at - asked_at >= timedelta(seconds=lasts_s)
    assert any("budget" in line for line in engine.logs(handle))


def test_money_that_lasts_for_centuries_is_no_limit(home: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(make_market())
    handle = engine.launch(make_request(home, spot_offer(engine), "true", stop_after_s=1e15))
    assert seen_ended(engine, handle, SystemClock()).exit_code == 0
