"""kill -9 of the supervisor at any moment, then `spotwise supervise`: the end is that of an undisturbed run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from installation import FOR_EVER, Installation, ended, pool

from spotwise.scheduler.core.run import AttemptState, RunState


@pytest.fixture
def spot(here: Installation) -> Installation:
    """Two zones: machines in the cheaper one live 2.4 s, and take 0.6 s to come up."""
    here.market(pool("a", life=1.2), pool("b", spot=0.4, life=FOR_EVER), provision_hours=0.3)
    return here


def is_placed(here: Installation, run_id: str) -> bool:
    return bool(here.attempts(run_id))


def has_trained(here: Installation, run_id: str) -> bool:
    return any(record.epoch >= 2 for record in here.progress(run_id))


def is_noticed(here: Installation, run_id: str) -> bool:
    return here.machine_says(run_id, "notice")


def is_moved(here: Installation, run_id: str) -> bool:
    return len(here.attempts(run_id)) == 2


def is_nearly_done(here: Installation, run_id: str) -> bool:
    return any(record.event == "finished" for record in here.progress(run_id))


MOMENTS = [is_placed, has_trained, is_noticed, is_moved, is_nearly_done]


@pytest.mark.parametrize("moment", MOMENTS)
def test_restart_reaches_the_end_of_an_undisturbed_run(
    spot: Installation, moment: Callable[[Installation, str], bool]
) -> None:
    """Killed while launching, running, being preempted, moving or ending: preempted once, completed, booked exactly."""
    run_id = spot.submit(spot.job(spot.train("--epochs 16")))
    spot.wait(lambda: moment(spot, run_id), moment.__name__)
    spot.kill_supervisors()
    spot.supervise()
    spot.wait_for_end(run_id)
    assert [a.state for a in spot.attempts(run_id)] == [AttemptState.PREEMPTED, AttemptState.COMPLETED]
    epochs = [record.epoch for record in spot.progress(run_id) if record.event == "progress"]
    assert epochs == list(range(1, 17)), "an epoch was done twice or never"
    spot.assert_settled(run_id)


def test_end_that_nobody_watched_is_booked_at_its_own_time(here: Installation) -> None:
    """A run that ended while no supervisor lived is billed until its program ended, not until somebody looked."""
    here.market(pool("a"))
    run_id = here.submit(here.job())
    here.wait(lambda: here.machine_says(run_id, "started"), "the start")
    here.kill_supervisors()
    here.wait(lambda: here.machine_says(run_id, "ended"), "the end of the program")
    here.supervise()
    attempt = here.attempts(run_id)[0]
    assert attempt.ended_at == next(e.time for e in here.machine(run_id) if e.name == "ended")
    here.assert_settled(run_id)


def test_killed_while_it_ends_a_run(here: Installation) -> None:
    """Killed between the request to end and the end: the run is cancelled all the same."""
    run_id = here.submit(here.job(here.train("--epochs 500")))
    here.wait_for_epoch(run_id, 1)
    here.cli("cancel", run_id)
    here.wait(lambda: here.machine_says(run_id, "terminating"), "the request to terminate")
    here.kill_supervisors()
    here.supervise()
    here.wait_for_end(run_id, RunState.CANCELLED)
    here.assert_settled(run_id)


def test_supervisors_killed_again_and_again(spot: Installation) -> None:
    """Five supervisors in a row are killed at arbitrary moments of their short lives."""
    run_id = spot.submit(spot.job(spot.train("--epochs 20")))
    moments = random.Random(7)
    spot.wait(lambda: is_placed(spot, run_id), "its placement")
    for _ in range(5):
        victim = spot.start("supervise")
        time.sleep(moments.uniform(0.4, 1.4))  # from before its first look to well after it
        spot.kill_supervisors()
        victim.communicate()
    spot.supervise()
    spot.wait_for_end(run_id)
    epochs = [record.epoch for record in spot.progress(run_id) if record.event == "progress"]
    assert epochs == list(range(1, 21))
    spot.assert_settled(run_id)


def test_many_supervisors_at_once(here: Installation) -> None:
    """Three supervisors and three runs: every attempt is launched once, by whoever holds the run's lease.

    Looked at when all supervisors have left: one that was late may have acted on a run that another had ended.
    """
    here.market(pool("a", life=1.2), pool("b", spot=0.4))
    jobs = [here.job(here.train("--epochs 14"), name=f"job-{n}") for n in range(3)]
    for submission in [here.start("submit", job) for job in jobs]:
        ended(submission)
    for run in here.runs():
        here.wait_for_end(run.id)
    here.wait(lambda: not here.supervisors(), "the supervisors to leave")
    for run in here.runs():
        assert run.state is RunState.COMPLETED
        here.assert_settled(run.id)
        owners = here.notes(run.id, "placed")
        assert len(owners) == len(here.attempts(run.id)) == 2
