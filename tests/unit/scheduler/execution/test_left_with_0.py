"""Told to leave and gone with exit code 0: done only where the work is known to be; short ends are said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import factories
import pytest
from factories import record
from supervised import RUN_ID, SupervisedWorld, job_yaml

from spotwise.checkpoints import ProgressRecord
from spotwise.scheduler.core.event_kind import EventKind
from spotwise.scheduler.core.run import AttemptState, RunState
from spotwise.scheduler.engines.base import Observation, Phase
from spotwise.scheduler.execution.state_machine import observed
from spotwise.scheduler.node_agent.end_cause import EndCause

STATED = "work: {epochs: 10, hours: 2}"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SupervisedWorld]:
    made = SupervisedWorld(tmp_path)
    yield made
    made.store.close()


def told(world: SupervisedWorld) -> list[str]:
    return [event.message for event in world.store.events(RUN_ID) if event.kind is EventKind.INCOMPLETE]


@pytest.mark.parametrize(
    ("work", "records", "is_done"),
    [
        (STATED, [record("checkpoint", 0.5, epoch=9, step=90)], False),  # Lightning: fit() returns on SIGTERM
        (STATED, [record("checkpoint", 0.5, epoch=10, step=100)], True),
        (STATED, [record("checkpoint", 0.4, epoch=9), record("finished", 0.5, epoch=9)], True),
        (STATED, [], False),
        ("", [], False),
        ("", [record("checkpoint", 0.5, epoch=9)], False),
        ("", [record("finished", 0.5, epoch=9)], True),
        ("", [record("finished", 0.4, epoch=9), record("progress", 0.5, epoch=10)], False),
    ],
)
def test_a_program_that_leaves_with_0_on_a_notice_is_done_only_where_its_work_is(
    world: SupervisedWorld, work: str, records: list[ProgressRecord], is_done: bool
) -> None:
    world.submit(text=job_yaml().replace(f"{STATED}\n", f"{work}\n"))
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.6)
    world.progress(*records)
    world.engine.preempt(world.live().id, exit_code=0)
    world.pass_time(supervisor, 0.1)
    first = world.attempts()[0]
    assert first.state is (AttemptState.COMPLETED if is_done else AttemptState.PREEMPTED)
    assert (len(world.attempts()), world.run().state is RunState.COMPLETED) == (1 if is_done else 2, is_done)


def test_a_cancelled_run_whose_program_leaves_with_0_is_cancelled(world: SupervisedWorld) -> None:
    world.engine._exit_on_notice = 0
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.store.request_cancel(RUN_ID)
    world.pass_time(supervisor, 0.1)
    assert world.run().state is RunState.CANCELLED


@pytest.mark.parametrize("cause", [EndCause.PREEMPTED, EndCause.TERMINATED, EndCause.VANISHED, EndCause.EXITED])
@pytest.mark.parametrize("is_done", [True, False])
def test_any_request_to_leave_counts_also_one_that_an_older_node_wrote_down(cause: EndCause, is_done: bool) -> None:
    """A node of the version before said that a program which left with 0 had ended by itself."""
    at = factories.at
    seen = Observation(Phase.ENDED, at(0), at(0.1), at(1), at(1.1), cause=cause, exit_code=0)
    state = observed(factories.attempt(migrating=True), seen, at(2), is_done=is_done).state
    assert (state is AttemptState.COMPLETED) is is_done
    unasked = replace(seen, notice_at=None, cause=EndCause.EXITED)
    assert observed(factories.attempt(), unasked, at(2)).state is AttemptState.COMPLETED


@pytest.mark.parametrize("records", [[], [record("checkpoint", 1, epoch=9)], [record("finished", 1, epoch=9)]])
def test_a_completion_below_the_stated_work_is_said_in_event_reason_and_report(
    world: SupervisedWorld, records: list[ProgressRecord]
) -> None:
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.progress(*records)
    world.engine.exit(world.live().id, 0)
    world.pass_time(supervisor, 0.1)
    (message,) = told(world)
    assert ("9 of 10" if records else "no progress reported") in message
    assert message in world.run().end_reason
    assert world.store.runs_with(EventKind.INCOMPLETE) == {RUN_ID}


def test_a_completion_of_all_stated_work_is_said_to_be_nothing_else(world: SupervisedWorld) -> None:
    world.submit()
    supervisor = world.supervisor()
    world.pass_time(supervisor, 0.5)
    world.progress(record("finished", 1, epoch=10))
    world.engine.exit(world.live().id, 0)
    world.pass_time(supervisor, 0.1)
    assert told(world) == []
