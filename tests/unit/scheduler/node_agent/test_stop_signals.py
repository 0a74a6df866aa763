from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.events import NodeEventName
from spotwise.scheduler.node_agent.stop_signals import StopSignals
from spotwise.scheduler.node_agent.task import NodeTask, SpendingLimit
from spotwise.scheduler.node_agent.timeouts import Timeouts

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Machine:
    """Remembers when it was told to leave, and by when."""

    def __init__(self) -> None:
        self.told: list[tuple[EndCause, datetime]] = []

    def leave_by(self, cause: EndCause, deadline: datetime) -> None:
        self.told.append((cause, deadline))

    def write_log(self, text: str) -> None: ...

    def record(self, name: NodeEventName, at: datetime | None = None, **data: object) -> None: ...


def reasons(stop_after_s: float | None, told_s: float | None = None) -> StopSignals:
    task = NodeTask("job-a1", "job", NOW, setup="", command="c", stop_after_s=stop_after_s, stop_grace_s=20.0)
    limit = None if told_s is None else SpendingLimit(told_s)
    quiet = SimpleNamespace(stop_request=None, limit=limit, peers=SimpleNamespace(fault=lambda: None))
    return StopSignals(task, cast("Any", quiet), Path("save"), Timeouts(), lambda: NOW)


@pytest.mark.parametrize(
    ("stop_after_s", "leaves_after_s"),
    [
        (3600.0, 3480.0),  # two minutes are left to the boot that was billed before the agent ran
        (200.0, 100.0),  # and half of what there is where that is little
        (0.0, 0.0),
        (-5.0, 0.0),
    ],
)
def test_a_budget_ends_while_the_boot_can_still_be_paid(stop_after_s: float, leaves_after_s: float) -> None:
    watched, machine = reasons(stop_after_s), Machine()
    ends_at = NOW + timedelta(seconds=leaves_after_s)
    watched.handle(machine, ends_at - timedelta(seconds=0.1))
    assert machine.told == []
    watched.handle(machine, ends_at)
    watched.handle(machine, ends_at + timedelta(seconds=1))
    assert machine.told == [(EndCause.TERMINATED, ends_at + timedelta(seconds=20))]


@pytest.mark.parametrize(
    ("asked_s", "told_s", "leaves_after_s"),
    [(3600.0, 1000.0, 880.0), (1000.0, 3600.0, 880.0), (None, 1000.0, 880.0), (3600.0, -5.0, 0.0)],
)
def test_a_machine_that_costs_more_than_was_known_leaves_earlier(
    asked_s: float | None, told_s: float, leaves_after_s: float
) -> None:
    watched, machine = reasons(asked_s, told_s), Machine()
    ends_at = NOW + timedelta(seconds=leaves_after_s)
    watched.handle(machine, ends_at - timedelta(seconds=0.1))
    assert machine.told == []
    watched.handle(machine, ends_at)
    assert machine.told == [(EndCause.TERMINATED, ends_at + timedelta(seconds=20))]


@pytest.mark.parametrize("stop_after_s", [None, 1e15])
def test_without_a_budget_that_ends_nobody_is_told(stop_after_s: float | None) -> None:
    watched, machine = reasons(stop_after_s), Machine()
    watched.handle(machine, NOW + timedelta(days=3650))
    assert machine.told == []
