"""Whatever a machine wrote into one run's files: that run says so once, the others go on, and the supervisor lives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import factories
import pytest
from factories import record
from supervised import RUN_ID, SupervisedWorld

from spotwise.checkpoints.progress import encode_record
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.engines.base import Handle, Observation, Phase
from spotwise.scheduler.execution.state_machine import observed
from spotwise.scheduler.execution.workloads import TrainingWorkload
from spotwise.scheduler.node_agent.end_cause import EndCause

OTHER = "digits-bbbbbb"
DAMAGED = [
    b'{"event": "progress", "time": "2026-03-01T12:10:00Z", "epoch": Infinity}',
    b'{"event": "checkpoint", "time": "2026-03-01T12:10:00Z", "epoch": 1e400, "checkpoint": "c"}',
    b'{"event": "checkpoint", "time": "0001-01-01T00:00:00+14:00", "epoch": 1}',
    b'{"event": "checkpoint", "time": "2026-03-01T12:10:00Z", "epoch": 99999999999999999999}',
    b"[" * 50_000,
    b"\xff\xfe\x00",
]


@pytest.fixture
def world(tmp_path: Path):
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


def kinds(world: SupervisedWorld, kind: EventKind, run_id: str = RUN_ID) -> list[str]:
    return [event.message for event in world.store.events(run_id) if event.kind is kind]


@pytest.mark.parametrize("line", DAMAGED)
def test_one_damaged_line_costs_only_itself_and_is_told_once(world: SupervisedWorld, line: bytes) -> None:
    world.submit()
    world.submit(OTHER)
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.2)
    progress = world.folder / "runs" / RUN_ID / "progress.jsonl"
    progress.write_bytes(line + b"\n" + encode_record(record("checkpoint", 0.2, epoch=4, checkpoint="c")) + b"\n")
    world.pass_time(supervisor, 0.3)
    world.clock.sleep(60)  # its lease runs out: another one takes over and does not tell it again
    world.pass_time(world.supervisor(), 2.5)
    assert (world.run().state, world.run(OTHER).state) == (RunState.COMPLETED, RunState.COMPLETED)
    assert world.live().epochs_kept == 4
    (told,) = kinds(world, EventKind.UNREADABLE)
    assert told.startswith("progress.jsonl: line 1 cannot be read and is passed over: ")
    assert kinds(world, EventKind.UNREADABLE, OTHER) == []


def test_a_line_of_an_attempts_own_files_is_told_too(world: SupervisedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.submit()
    supervisor = world.supervisor()
    supervisor.tick()
    observe = world.engine.observe

    def with_a_damaged_line(handles: Sequence[Handle]) -> dict[str, Observation]:
        return {name: replace(seen, unreadable="a/events.jsonl: line 2") for name, seen in observe(handles).items()}

    monkeypatch.setattr(world.engine, "observe", with_a_damaged_line)
    world.pass_time(supervisor, 0.2)
    assert kinds(world, EventKind.UNREADABLE) == ["a/events.jsonl: line 2"]


@pytest.mark.parametrize("error", [OverflowError, ZeroDivisionError, RecursionError, KeyError, AssertionError])
def test_no_fault_of_one_run_reaches_another(
    world: SupervisedWorld, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Not even one that nobody has thought of: it is in the run's history, and tried again."""
    world.submit()
    world.submit(OTHER)
    progress = TrainingWorkload.progress

    def broken(self: TrainingWorkload) -> object:
        if self._run.id == RUN_ID:
            raise error("of ours")
        return progress(self)

    monkeypatch.setattr(TrainingWorkload, "progress", broken)
    supervisor = world.supervisor()
    world.pass_time(supervisor, 3)
    assert world.run(OTHER).state is RunState.COMPLETED
    (told,) = kinds(world, EventKind.FAULT)
    assert error.__name__ in told
    monkeypatch.undo()
    world.pass_time(supervisor, 3)
    assert world.run().state is RunState.COMPLETED


def test_an_engine_that_cannot_be_observed_at_all_stops_nobody(world: SupervisedWorld) -> None:
    world.submit()
    world.engine.failing = {"observe": [OverflowError("years"), KeyError("x")]}
    world.pass_time(world.supervisor(), 3)
    assert world.run().state is RunState.COMPLETED


FAR = timedelta(days=40_000)


@pytest.mark.parametrize("field", ["launched_at", "started_at", "ended_at"])
@pytest.mark.parametrize("off", [-FAR, FAR])
def test_a_clock_that_is_days_off_is_not_billed(field: str, off: timedelta) -> None:
    """A machine's word on when it came and went counts, but not where it cannot be."""
    attempt, now = factories.attempt(), factories.at(2)
    seen = Observation(
        Phase.ENDED, factories.at(0.1), factories.at(0.2), ended_at=factories.at(1), cause=EndCause.EXITED, exit_code=0
    )
    known = observed(attempt, replace(seen, **{field: getattr(seen, field) + off}), now)
    assert factories.T0 <= known.launched_at <= known.started_at <= known.ended_at <= now


def test_a_clock_that_is_minutes_off_is_believed() -> None:
    ahead = timedelta(minutes=10)
    seen = Observation(Phase.ENDED, factories.T0 + ahead, ended_at=factories.at(1) + ahead, cause=EndCause.VANISHED)
    known = observed(factories.attempt(), seen, factories.at(1))
    assert (known.launched_at, known.ended_at) == (factories.T0 + ahead, factories.at(1) + ahead)


def test_a_study_that_cannot_be_kept_keeps_no_run_from_ending(
    world: SupervisedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("trial 3")

    monkeypatch.setattr(TrainingWorkload, "study", broken)
    world.submit()
    world.pass_time(world.supervisor(), 3)
    assert world.run().state is RunState.COMPLETED
    assert "trial 3" in kinds(world, EventKind.FAULT)[0]
