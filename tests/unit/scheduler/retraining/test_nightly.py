from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from retraining_world import Crash, World

from spotwise.scheduler.core.errors import ExitCode, InputError, SpotwiseError
from spotwise.scheduler.core.run import RunState
from spotwise.scheduler.retraining.nightly import run_id_for
from spotwise.scheduler.retraining.occurrences import Occurrence, OccurrenceOutcome

TONIGHT = "2026-11-23"
RUN = "digits-20261123"


def champion_of(world: World) -> str | None:
    champion = world.registry.champion("digits")
    return champion.version if champion else None


def test_the_first_night_promotes_the_first_model(world: World) -> None:
    result = world.nightly()
    assert (result.exit_code, result.outcome, result.run_id) == (ExitCode.DONE, OccurrenceOutcome.PROMOTED, RUN)
    assert champion_of(world) == RUN
    assert "first retraining, no champion yet" in result.message
    assert "Cost 3.20 USD. Next due 2026-11-24 02:00 UTC." in result.message


def test_again_at_once_there_is_nothing_to_do(world: World) -> None:
    world.nightly()
    result = world.nightly()
    assert result.exit_code == ExitCode.NOTHING_TO_DO
    assert result.next_due_at == datetime(2026, 11, 24, 2, tzinfo=UTC)
    assert f"{TONIGHT} is done (promoted, run {RUN}). Next due 2026-11-24 02:00 UTC." in result.message
    assert world.waited == [RUN]


@pytest.mark.parametrize(
    ("accuracy", "outcome", "champion"),
    [
        (0.98, OccurrenceOutcome.PROMOTED, "digits-20261124"),
        (0.97, OccurrenceOutcome.KEPT, RUN),
        (0.5, OccurrenceOutcome.KEPT, RUN),
    ],
)
def test_the_next_night_is_judged_against_the_champion(
    world: World, accuracy: float, outcome: OccurrenceOutcome, champion: str
) -> None:
    world.nightly()
    world.clock.sleep(86_400)
    world.accuracy = accuracy
    result = world.nightly()
    assert (result.exit_code, result.outcome) == (ExitCode.DONE, outcome)
    assert champion_of(world) == champion
    judged = world.judgements["digits-20261124"]
    assert (judged.value, judged.champion_value, judged.promoted) == (
        accuracy,
        0.97,
        outcome is OccurrenceOutcome.PROMOTED,
    )


def test_the_stored_reason_says_why_it_ran_and_how_it_was_judged(world: World) -> None:
    world.nightly()
    world.clock.sleep(86_400)
    world.nightly()
    record = world.get("digits", "2026-11-24")
    assert record is not None
    assert record.reason == (
        "due 2026-11-24 02:00 UTC; val_accuracy 0.97 of digits-20261124 against the champion's val_accuracy 0.97 of "
        "digits-20261123: equal, any improvement asked (maximize)"
    )


@pytest.mark.parametrize("accuracy", [None, float("nan"), float("inf")])
def test_a_run_without_a_usable_metric_never_promotes(world: World, accuracy: float | None) -> None:
    world.accuracy = accuracy
    result = world.nightly()
    assert (result.exit_code, result.outcome) == (ExitCode.DONE, OccurrenceOutcome.KEPT)
    assert champion_of(world) is None
    assert world.judgements[RUN].value is None


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (RunState.FAILED, ExitCode.RUN_FAILED),
        (RunState.CANCELLED, ExitCode.RUN_FAILED),
        (RunState.STOPPED, ExitCode.REFUSED),  # the budget ended
    ],
)
def test_a_run_that_does_not_complete_is_stored_as_failed(world: World, state: RunState, code: ExitCode) -> None:
    world.state = state
    result = world.nightly()
    assert (result.exit_code, result.outcome) == (code, OccurrenceOutcome.FAILED)
    assert f"run {RUN} {state}: see the log" in result.message
    assert champion_of(world) is None
    assert world.nightly().exit_code == ExitCode.NOTHING_TO_DO  # the same night is not tried again by itself


def test_the_night_after_a_failed_one_runs_as_usual(world: World) -> None:
    world.state = RunState.FAILED
    world.nightly()
    world.clock.sleep(86_400)
    world.state = RunState.COMPLETED
    assert world.nightly().outcome is OccurrenceOutcome.PROMOTED


def test_force_tries_a_failed_night_again_under_a_new_run(world: World) -> None:
    world.state = RunState.FAILED
    world.nightly()
    assert world.nightly(force=True).run_id == f"{RUN}-r2"
    world.state = RunState.COMPLETED
    result = world.nightly(force=True)
    assert (result.run_id, result.outcome) == (f"{RUN}-r3", OccurrenceOutcome.PROMOTED)
    assert world.outcome(TONIGHT) is OccurrenceOutcome.PROMOTED
    assert "--force" in result.message


def test_force_continues_an_unfinished_run_instead_of_starting_a_second(world: World) -> None:
    world.begin("digits", TONIGHT, RUN, world.clock.now())
    assert world.nightly(force=True).run_id == RUN
    assert list(world.runs) == [RUN]


def test_a_refused_run_is_stored_with_its_reason(world: World) -> None:
    world.refusal = "budget 1 USD, expected cost 3.20 USD"
    result = world.nightly()
    assert (result.exit_code, result.outcome) == (ExitCode.REFUSED, OccurrenceOutcome.REFUSED)
    record = world.get("digits", TONIGHT)
    assert record is not None
    assert "budget 1 USD" in record.reason


def test_a_corrupt_checkpoint_fails_the_night_and_keeps_the_champion(world: World) -> None:
    world.nightly()
    world.clock.sleep(86_400)
    world.accuracy, world.corrupt = 0.99, True
    result = world.nightly()
    assert (result.exit_code, result.outcome) == (ExitCode.RUN_FAILED, OccurrenceOutcome.FAILED)
    assert "the champion stays" in result.message
    assert champion_of(world) == RUN


def test_missed_nights_collapse_into_one_run_and_each_has_a_stored_reason(world: World) -> None:
    world.nightly()
    world.clock.sleep(4 * 86_400)
    result = world.nightly()
    assert result.run_id == "digits-20261127"
    assert "stands in for 3 missed (2026-11-24 to 2026-11-26)" in result.message
    assert list(world.runs) == [RUN, "digits-20261127"]
    for missed in ("2026-11-24", "2026-11-25", "2026-11-26"):
        record = world.get("digits", missed)
        assert record is not None
        assert (record.outcome, record.reason) == (OccurrenceOutcome.SKIPPED, "missed; 2026-11-27 stands in for it")


def test_a_second_nightly_at_once_leaves_the_first_alone(world: World) -> None:
    with world.registry.lock("digits"):
        result = world.nightly()
    assert result.exit_code == ExitCode.NOTHING_TO_DO
    assert "another nightly holds the lock (pid " in result.message
    assert world.records == {}


def test_a_job_that_does_not_retrain_is_refused(world: World) -> None:
    with pytest.raises(InputError, match="no retrain: key"):
        world.nightly("name: once\nrun: python train.py\n")


def test_a_calendar_without_a_zone_takes_the_default(world: World) -> None:
    text = "run: x\nretrain: {model: m, triggers: {calendar: {at: '02:00'}}, gate: {metric: a, goal: maximize}}"
    result = world.nightly(text, default_timezone="Pacific/Auckland")
    assert result.next_due_at == datetime(2026, 11, 23, 13, tzinfo=UTC)


def test_old_versions_are_removed_after_a_promotion(world: World) -> None:
    for night in range(4):
        world.accuracy = 0.9 + night / 100
        world.nightly(keep_versions=2)
        world.clock.sleep(86_400)
    assert [v.version for v in world.registry.history("digits")] == ["digits-20261126", "digits-20261125"]


STEPS = [
    f"{step} {when}"
    for step in ("evaluate", "begin", "submit", "wait", "record", "finish")
    for when in ("before", "after")
]


def end_state(world: World) -> dict[str, Any]:
    """All that must not depend on crashes."""
    champion = world.registry.champion("digits")
    return {
        "occurrences": {key: (record.run_id, record.outcome) for key, record in world.records.items()},
        "runs": list(world.runs),
        "champion": champion and (champion.version, champion.value, champion.previous),
        "versions": [v.version for v in world.registry.history("digits")],
        "judgements": {name: (j.value, j.champion_value, j.promoted, j.reason) for name, j in world.judgements.items()},
    }


@pytest.mark.parametrize("crash_at", [*STEPS, "skip before", "skip after"])
@pytest.mark.parametrize("accuracy", [0.99, 0.5], ids=["promoted", "kept"])
def test_a_crash_anywhere_and_a_second_start_end_as_if_nothing_had_happened(
    make_world: Callable[..., World], crash_at: str, accuracy: float
) -> None:
    worlds = [make_world("undisturbed"), make_world("crashed")]
    for world in worlds:
        world.nightly()
        world.clock.sleep(3 * 86_400)
        world.accuracy = accuracy
    undisturbed, crashed = worlds
    undisturbed.nightly()

    crashed.crash_at = crash_at
    with pytest.raises(Crash):
        crashed.nightly()
    crashed.crash_at = ""
    crashed.clock.sleep(3600)
    again = crashed.nightly()

    assert again.exit_code == (ExitCode.NOTHING_TO_DO if crash_at == "finish after" else ExitCode.DONE)
    assert end_state(crashed) == end_state(undisturbed)


def test_what_a_crash_left_is_settled_first_on_the_next_night(world: World) -> None:
    """The run of the 23rd completed while nobody watched, and the 24th is due by now: both are served, in turn."""
    world.crash_at = "wait before"
    with pytest.raises(Crash):
        world.nightly()
    world.crash_at = ""
    world.clock.sleep(86_400)
    world.accuracy = 0.98
    result = world.nightly()
    assert world.outcome(TONIGHT) is OccurrenceOutcome.PROMOTED
    assert world.outcome("2026-11-24") is OccurrenceOutcome.PROMOTED
    assert champion_of(world) == "digits-20261124"
    first, second = result.message.splitlines()
    assert "digits 2026-11-23: promoted. continued what began 2026-11-23 02:05 UTC" in first
    assert "digits 2026-11-24: promoted." in second


def test_a_gate_that_changed_during_a_crash_does_not_take_back_a_promotion(world: World) -> None:
    world.crash_at = "record before"
    with pytest.raises(Crash):
        world.nightly()
    world.crash_at = ""
    other = "run: x\nretrain: {model: digits, triggers: {calendar: {at: '02:00'}}, gate: {metric: f1, goal: maximize}}"
    result = world.nightly(other)
    assert result.outcome is OccurrenceOutcome.PROMOTED
    assert "promoted before a restart" in result.message
    assert (world.judgements[RUN].metric, world.judgements[RUN].value) == ("val_accuracy", 0.97)
    assert champion_of(world) == RUN


def test_a_run_that_has_not_ended_leaves_the_night_open(world: World) -> None:
    world.state = RunState.RUNNING
    with pytest.raises(SpotwiseError, match="still running"):
        world.nightly()
    assert world.outcome(TONIGHT) is None


def test_a_submission_that_starts_another_run_is_a_fault(world: World) -> None:
    class Other(World):
        def submit(self, occurrence: Occurrence) -> str:
            return "digits-nightly-7k2f9q"

    with pytest.raises(SpotwiseError, match="digits-nightly-7k2f9q was started"):
        Other(world.folder).nightly()


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        ("", "digits-20261123"),
        ("digits-20261123", "digits-20261123-r2"),
        ("digits-20261123-r2", "digits-20261123-r3"),
        ("digits-20261123-r9", "digits-20261123-r10"),
    ],
)
def test_run_ids_follow_from_model_and_occurrence(previous: str, expected: str) -> None:
    assert run_id_for("digits", TONIGHT, previous) == expected


def test_a_clock_set_back_retrains_nothing(world: World) -> None:
    """Behind a finished night nothing fires and nothing is skipped."""
    world.nightly()
    world.clock.moment -= timedelta(days=3)
    assert world.nightly().exit_code == ExitCode.NOTHING_TO_DO
    assert list(world.runs) == [RUN]
