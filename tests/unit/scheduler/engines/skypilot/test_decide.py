"""An attempt's next step as tables, and what holds of it whatever SkyPilot's books say.

The attempt was asked for at T0 and may take 20 minutes to come up. Unless said otherwise it is a minute later.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product
from random import Random
from typing import Any

import pytest
from factories import T0
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotwise.scheduler.engines.base import Phase
from spotwise.scheduler.engines.skypilot.decide import (
    DOWN_AGAIN,
    MOST_LAUNCHES,
    SLACK,
    CloserLook,
    EndInProgress,
    Facts,
    Step,
    closed,
    decide,
    reason_to_leave,
)
from spotwise.scheduler.engines.skypilot.sky import Cluster, ClusterState, Failure, RequestState
from spotwise.scheduler.node_agent.end_cause import EndCause
from spotwise.scheduler.node_agent.events import NodeEvent
from spotwise.scheduler.node_agent.log_message import StorageNotSeen
from spotwise.scheduler.node_agent.task import StopRequest

NAME = "spotwise-job-x1-a1"
TIMEOUT = timedelta(minutes=20)
UNDER_WAY, DONE, FAILED, GONE = RequestState
INIT, UP, STOPPED = (Cluster(NAME, state, T0) for state in ClusterState)
NO_GPU, BAD_MOUNT = Failure(True, "no V100"), Failure(False, "no such file")
BAD_TASK = Failure(False, "no such key (ValueError)", of_request=True)
NOT_HERE = Failure(False, "no such image (ValueError)", of_place=True)
WITHOUT_A_MACHINE = {
    EndCause.LAUNCH_FAILED: EndCause.LAUNCH_FAILED,
    EndCause.NOT_OFFERED: EndCause.NOT_OFFERED,
    EndCause.UNLAUNCHABLE: EndCause.UNLAUNCHABLE,
    EndCause.TERMINATED: EndCause.WITHDRAWN,
    EndCause.WITHDRAWN: EndCause.WITHDRAWN,
}


def minute(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def event(name: str, minutes: float, **data: Any) -> NodeEvent:
    return NodeEvent(name, minute(minutes), data)


SPEAKS = (event("up", 0.5),)
RUNS = (*SPEAKS, event("started", 0.6))
ENDED = (*RUNS, event("ended", 0.9, cause="exited", exit_code=0, message=""))
TAKEN = (*RUNS, event("notice", 0.7), event("ended", 0.9, cause="preempted", exit_code=75, message="saved"))
STOP_REQUEST = StopRequest(minute(1), 60.0)
OVER = EndInProgress(EndCause.EXITED, minute(1), 0)
PREEMPTED = EndInProgress(EndCause.PREEMPTED, minute(1), 75, is_away=True)
LIVE = {"launch": DONE, "cluster": UP, "up_at": minute(0.2), "events": RUNS, "heard_at": minute(0.9)}
SILENT = {**LIVE, "is_silent": True}
BROKE = {"launch": FAILED, "cluster": INIT, "closer": CloserLook(INIT)}
MUTE = {"launch": DONE, "cluster": UP, "up_at": minute(0.2), "is_silent": True}  # its agent never spoke


def facts(**known: Any) -> Facts:
    asked = {"launched_at": T0} if known.get("launch") is not None or known.get("launches") else {}
    terms = {"is_spot": True, "provision_timeout": TIMEOUT, "autostop": TIMEOUT}
    return Facts(**{"now": minute(1), "asked_at": T0, **terms, **asked, **known})


def rows(*table: tuple[str, dict[str, Any], Any]) -> Any:
    return pytest.mark.parametrize(("known", "expected"), [pytest.param(*row[1:], id=row[0]) for row in table])


# the step


@rows(
    ("never asked for", {}, Step.LAUNCH),
    ("forgotten, and nothing stands", {"launch": GONE, "launches": 1}, Step.LAUNCH),
    ("secrets are at hand nowhere", {"can_launch": False}, Step.REST),
    ("the launch was not written down", {"cluster": INIT}, Step.REST),
    ("forgotten half way", {"launch": GONE, "launches": 1, "cluster": INIT}, Step.LAUNCH),
    ("forgotten, but the agent speaks", {"launch": GONE, "events": SPEAKS}, Step.REST),
    ("forgotten half way, too often", {"launch": GONE, "launches": MOST_LAUNCHES, "cluster": INIT}, Step.REST),
    ("forgotten after it broke", {"launch": GONE, "failure": BAD_MOUNT}, Step.CLOSE),
    ("forgotten once too often", {"launch": GONE, "launches": MOST_LAUNCHES}, Step.CLOSE),
    ("under way", {"launch": UNDER_WAY}, Step.REST),
    ("under way, books are ahead", {"launch": UNDER_WAY, "cluster": UP}, Step.REST),
    ("done, books are behind", {"launch": DONE}, Step.REST),
    ("done, being set up", {"launch": DONE, "cluster": UP}, Step.REST),
    ("failed, why is not known yet", {"launch": FAILED}, Step.REST),
    ("no capacity", {"launch": FAILED, "failure": NO_GPU}, Step.CLOSE),
    ("no capacity, a part stands", {"launch": FAILED, "failure": NO_GPU, "cluster": INIT}, Step.DOWN),
    ("broke, nothing stands", {"launch": FAILED, "failure": BAD_MOUNT}, Step.CLOSE),
    ("broke on a machine", {"launch": FAILED, "failure": BAD_MOUNT, "cluster": UP}, Step.LOOK_CLOSER),
    ("broke, but the agent speaks", {**LIVE, "launch": FAILED, "failure": BAD_MOUNT}, Step.REST),
    ("runs", LIVE, Step.REST),
    ("runs, books have lost it", {**LIVE, "cluster": None}, Step.REST),
    ("runs, books are behind", {**LIVE, "cluster": INIT}, Step.REST),
    ("silent", SILENT, Step.LOOK_CLOSER),
    ("silent, and only out of touch", {**SILENT, "closer": CloserLook(UP)}, Step.LOOK_CLOSER),
    ("never spoke", MUTE, Step.LOOK_CLOSER),
    ("ended", {**LIVE, "events": ENDED}, Step.DOWN),
    ("ended, its cluster gone already", {**LIVE, "events": ENDED, "cluster": None}, Step.CLOSE),
    ("ended before its launch was done", {**LIVE, "events": ENDED, "launch": UNDER_WAY}, Step.CANCEL_LAUNCH),
    ("too late", {"now": minute(20), "launch": UNDER_WAY}, Step.CANCEL_LAUNCH),
    ("late, but never asked for: SkyPilot was away", {"now": minute(20)}, Step.LAUNCH),
    ("late, but it speaks", {**LIVE, "now": minute(20)}, Step.REST),
    ("unwanted before its launch", {"stop_request": STOP_REQUEST}, Step.CLOSE),
    (
        "unwanted while it comes up",
        {"stop_request": STOP_REQUEST, "launch": UNDER_WAY, "cluster": INIT},
        Step.CANCEL_LAUNCH,
    ),
    ("unwanted before it spoke", {"stop_request": STOP_REQUEST, "launch": DONE, "cluster": UP}, Step.DOWN),
    ("unwanted, within its grace", {**LIVE, "stop_request": STOP_REQUEST}, Step.REST),
)
def test_what_is_done_next_for_an_attempt_that_is_not_over(known: dict[str, Any], expected: Step) -> None:
    assert decide(facts(**known)).step is expected


@rows(
    ("the launch goes on", {"launch": UNDER_WAY}, Step.CANCEL_LAUNCH),
    ("the launch goes on beside its end", {"launch": UNDER_WAY, "cluster": INIT, "down": DONE}, Step.CANCEL_LAUNCH),
    ("nothing stands", {"launch": GONE}, Step.CLOSE),
    ("nothing was ever there", {}, Step.CLOSE),
    ("it is gone, and its end is not yet done", {"launch": DONE, "down": UNDER_WAY}, Step.CLOSE),
    ("it stands", {"launch": DONE, "cluster": UP}, Step.DOWN),
    ("a part of it stands", {"launch": GONE, "cluster": INIT}, Step.DOWN),
    ("it is stopped, and its disk is billed", {"launch": DONE, "cluster": STOPPED}, Step.DOWN),
    ("it is being ended", {"launch": DONE, "cluster": UP, "down": UNDER_WAY}, Step.REST),
    ("its end failed", {"launch": DONE, "cluster": UP, "down": FAILED}, Step.DOWN),
    ("its end was forgotten", {"launch": DONE, "cluster": UP, "down": GONE}, Step.DOWN),
    ("it was ended and stands again", {"launch": DONE, "cluster": INIT, "down": DONE}, Step.DOWN),
    ("its end failed just now", {"cluster": UP, "down": FAILED, "down_at": minute(0.9)}, Step.REST),
    ("its end failed a while ago", {"cluster": UP, "down": FAILED, "down_at": minute(1) - DOWN_AGAIN}, Step.DOWN),
)
def test_how_an_attempt_that_is_over_is_ended_for_good(known: dict[str, Any], expected: Step) -> None:
    assert decide(facts(**known, leaving=OVER)).step is expected


@rows(
    ("its record is still there", {"launch": DONE, "cluster": UP}, Step.DOWN),
    ("its record is about to go", {"launch": DONE, "cluster": UP, "down": UNDER_WAY}, Step.CLOSE),
    ("its record could not be removed", {"launch": DONE, "cluster": UP, "down": FAILED}, Step.CLOSE),
    ("its record is gone", {"launch": DONE}, Step.CLOSE),
    ("its launch goes on", {"launch": UNDER_WAY, "cluster": UP}, Step.CANCEL_LAUNCH),
)
def test_what_the_market_took_waits_for_nobody(known: dict[str, Any], expected: Step) -> None:
    assert decide(facts(**known, leaving=PREEMPTED)).step is expected


@pytest.mark.parametrize("leaving", [OVER, PREEMPTED])
@pytest.mark.parametrize("spoken", [(), RUNS, ENDED])
def test_neither_agent_nor_stop_request_changes_how_it_is_ended(
    leaving: EndInProgress, spoken: tuple[NodeEvent, ...]
) -> None:
    for launch, cluster, down in product((None, *RequestState), (None, INIT, UP, STOPPED), (None, *RequestState)):
        books = facts(launch=launch, cluster=cluster, down=down, leaving=leaving)
        more = replace(
            books, events=spoken, stop_request=STOP_REQUEST, is_silent=True, closer=CloserLook(None), can_launch=False
        )
        assert decide(more).step is decide(books).step


# the reason


@rows(
    ("the agent says how", {**LIVE, "events": ENDED}, EndCause.EXITED),
    ("the agent says that it was taken", {**LIVE, "events": TAKEN}, EndCause.PREEMPTED),
    (
        "the agent's word counts more than the request to stop",
        {**LIVE, "events": TAKEN, "stop_request": STOP_REQUEST},
        EndCause.PREEMPTED,
    ),
    ("the agent's word counts more than silence", {**SILENT, "events": ENDED}, EndCause.EXITED),
    ("unwanted before anything ran", {"stop_request": STOP_REQUEST}, EndCause.TERMINATED),
    (
        "unwanted, and its launch failed",
        {"stop_request": STOP_REQUEST, "launch": FAILED, "failure": NO_GPU},
        EndCause.TERMINATED,
    ),
    (
        "unwanted, and its grace is over",
        {**LIVE, "stop_request": STOP_REQUEST, "now": minute(2) + SLACK},
        EndCause.TERMINATED,
    ),
    (
        "unwanted, and gone within its grace",
        {**SILENT, "stop_request": STOP_REQUEST, "closer": CloserLook(None)},
        EndCause.PREEMPTED,
    ),
    ("no capacity", {"launch": FAILED, "failure": NO_GPU}, EndCause.NO_CAPACITY),
    ("a launch that broke", {"launch": FAILED, "failure": BAD_MOUNT}, EndCause.LAUNCH_FAILED),
    ("a launch that no machine can mend", {"launch": FAILED, "failure": BAD_TASK}, EndCause.UNLAUNCHABLE),
    ("a launch that this place cannot have", {"launch": FAILED, "failure": NOT_HERE}, EndCause.NOT_OFFERED),
    ("that answer, on a machine", {**BROKE, "failure": NOT_HERE}, EndCause.LAUNCH_FAILED),
    ("the same words, on a machine", {**BROKE, "failure": BAD_TASK}, EndCause.LAUNCH_FAILED),
    ("nothing came up", {"launch": UNDER_WAY, "cluster": INIT, "now": minute(20)}, EndCause.NO_CAPACITY),
    ("it came up and nothing began", {**MUTE, "is_silent": False, "now": minute(20)}, EndCause.LAUNCH_FAILED),
    ("spot, and gone", {**SILENT, "closer": CloserLook(None)}, EndCause.PREEMPTED),
    ("spot, and broken", {**SILENT, "closer": CloserLook(INIT)}, EndCause.PREEMPTED),
    ("on demand, and gone", {**SILENT, "is_spot": False, "closer": CloserLook(None)}, EndCause.VANISHED),
    ("stopped by somebody", {**SILENT, "is_spot": False, "closer": CloserLook(STOPPED)}, EndCause.VANISHED),
    ("its agent died", {**SILENT, "closer": CloserLook(UP, is_idle=True)}, EndCause.VANISHED),
    ("its agent never began", {**MUTE, "closer": CloserLook(UP, is_idle=True)}, EndCause.LAUNCH_FAILED),
    ("broken before it spoke", {**MUTE, "closer": CloserLook(INIT)}, EndCause.LAUNCH_FAILED),
    ("taken before it spoke", {**MUTE, "closer": CloserLook(None)}, EndCause.PREEMPTED),
    ("lost before it spoke", {**MUTE, "is_spot": False, "closer": CloserLook(None)}, EndCause.VANISHED),
    ("taken before it was up", {**MUTE, "up_at": None, "closer": CloserLook(None)}, EndCause.NO_CAPACITY),
    ("noticed, not yet silent: nothing", {**LIVE, "closer": CloserLook(None)}, None),
)
def test_why_an_attempt_is_over(known: dict[str, Any], expected: EndCause | None) -> None:
    leaving = reason_to_leave(facts(**known))
    assert (leaving and leaving.cause) is expected


@rows(
    ("the machine is fine", CloserLook(UP), EndCause.LAUNCH_FAILED),
    ("the market took it", CloserLook(None), EndCause.NO_CAPACITY),
)
def test_a_launch_that_broke_on_a_machine_is_judged_by_what_became_of_it(known: CloserLook, expected: EndCause) -> None:
    seen = facts(launch=FAILED, failure=BAD_MOUNT, cluster=INIT, closer=known)
    assert (decide(seen).leaving or OVER).cause is expected


def test_a_program_that_was_told_to_leave_has_its_grace_and_some_slack() -> None:
    end = STOP_REQUEST.asked_at + timedelta(seconds=STOP_REQUEST.grace_s) + SLACK
    told = facts(**LIVE, stop_request=STOP_REQUEST)
    assert reason_to_leave(replace(told, now=end - timedelta(seconds=1))) is None
    assert reason_to_leave(replace(told, now=end)) is not None


def test_a_node_that_cannot_be_prepared_is_quoted() -> None:
    leaving = reason_to_leave(facts(**MUTE, closer=CloserLook(UP, True, ["pip:", "no matching distribution"])))
    assert leaving is not None
    assert leaving.message == "the node could not be prepared: pip: | no matching distribution"


@rows(
    ("a folder", {"storage": "/shared/runs"}, "/shared/runs; it must be a folder that all machines share"),
    ("a URL", {"storage": "s3://b/runs"}, "s3://b/runs; all machines must reach the same"),
)
def test_a_node_that_does_not_see_the_storage_is_named_and_nothing_is_tried_again(
    known: dict[str, Any], expected: str
) -> None:
    lines = ["it starts", f"(sky-cmd) {StorageNotSeen('node-7', '/shared/runs/r/request.json').to_line()}", "exit 78"]
    leaving = reason_to_leave(facts(**MUTE, closer=CloserLook(UP, True, lines), **known))
    assert leaving is not None
    assert leaving.cause is EndCause.UNLAUNCHABLE
    assert leaving.message == f"the node node-7 does not see skypilot.storage {expected}"


def test_of_two_events_of_one_name_the_first_counts() -> None:
    """An agent that was started twice must not move its own beginning."""
    seen = decide(facts(**{**LIVE, "events": (*RUNS, event("up", 0.8), event("started", 0.9))})).seen
    assert seen.started_at == minute(0.6)


@rows(
    ("being provisioned", {"launch": UNDER_WAY}, (Phase.PROVISIONING, None, None)),
    ("up", {"launch": DONE, "cluster": UP, "up_at": minute(0.2)}, (Phase.PROVISIONING, minute(0.2), None)),
    ("set up, books are behind", {"events": SPEAKS}, (Phase.PROVISIONING, minute(0.5), None)),
    ("running", LIVE, (Phase.RUNNING, minute(0.2), minute(0.6))),
    ("running, and over", {**LIVE, "leaving": OVER}, (Phase.RUNNING, minute(0.2), minute(0.6))),
)
def test_what_is_seen_meanwhile(known: dict[str, Any], expected: tuple[Any, ...]) -> None:
    seen = decide(facts(**known)).seen
    assert (seen.phase, seen.launched_at, seen.started_at) == expected


# what is billed


def test_a_machine_that_was_taken_is_billed_until_it_went() -> None:
    end = closed(facts(**{**LIVE, "events": TAKEN}, now=minute(9)), PREEMPTED)
    assert (end.launched_at, end.notice_at, end.ended_at) == (minute(0.2), minute(0.7), minute(1))


@rows(
    ("its program ended", {**LIVE, "events": ENDED}, EndCause.EXITED),
    ("its agent died", {**SILENT, "closer": CloserLook(UP, is_idle=True)}, EndCause.VANISHED),
    ("its node could not be prepared", {**MUTE, "closer": CloserLook(UP, is_idle=True)}, EndCause.LAUNCH_FAILED),
    ("nothing ever began on it", {**MUTE, "is_silent": False, "now": minute(20)}, EndCause.LAUNCH_FAILED),
)
def test_a_machine_that_is_there_is_billed_until_it_is_out_of_the_books(
    known: dict[str, Any], expected: EndCause
) -> None:
    leaving = reason_to_leave(facts(**known))
    assert leaving is not None
    end = closed(facts(**{**known, "cluster": None, "down": DONE, "now": minute(25)}), leaving)
    assert (end.cause, end.launched_at, end.ended_at) == (expected, minute(0.2), minute(25))


@rows(
    ("its idle cluster ended itself", {}, 0.9 + 10),
    ("SkyPilot ended it", {"down": DONE, "gone_at": minute(3)}, 3),
    ("SkyPilot ended it, and its clock is ahead", {"down": DONE, "gone_at": minute(9001)}, 9000),
    ("SkyPilot does not know any more when it ended it", {"down": GONE}, 9000),
)
def test_nobody_pays_for_the_time_in_which_no_supervisor_looked(known: dict[str, Any], expected: float) -> None:
    """Its program ended, then its cluster, and that was found out days later."""
    gone = {**LIVE, "events": ENDED, "cluster": None, "autostop": timedelta(minutes=10)}
    days_later = facts(**{**gone, "now": minute(9000), **known})
    leaving = reason_to_leave(days_later)
    assert leaving is not None
    assert closed(days_later, leaving).ended_at == minute(expected)


@rows(
    ("on demand, gone", {**SILENT, "is_spot": False, "closer": CloserLook(None)}, minute(0.9)),
    ("spot, gone", {**SILENT, "closer": CloserLook(None)}, minute(0.9)),
    ("gone before it spoke", {**MUTE, "closer": CloserLook(None)}, minute(1)),
)
def test_a_machine_that_went_away_is_billed_until_it_was_last_heard(known: dict[str, Any], expected: datetime) -> None:
    leaving = reason_to_leave(facts(**known))
    assert leaving is not None
    assert closed(facts(**{**known, "now": minute(9)}), leaving).ended_at == expected


@pytest.mark.parametrize("cause", EndCause)
def test_what_never_came_up_costs_nothing_and_is_no_ones_crash(cause: EndCause) -> None:
    end = closed(facts(launch=GONE), EndInProgress(cause, minute(1), message="why"))
    assert (end.launched_at, end.started_at, end.message) == (None, None, "why")
    assert end.cause is WITHOUT_A_MACHINE.get(cause, EndCause.NO_CAPACITY)


# whatever the books say


def examples(count: int) -> settings:
    """So many, however slow the machine is."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


moments = st.integers(-60, 3600).map(lambda seconds: T0 + timedelta(seconds=seconds))
clusters = st.sampled_from([None, INIT, UP, STOPPED])
requests = st.sampled_from([None, *RequestState])
leavings = st.builds(EndInProgress, st.sampled_from(EndCause), moments, st.none() | st.integers(0, 255))
looks = st.builds(CloserLook, clusters, st.booleans())


@st.composite
def spoken(draw: st.DrawFn) -> tuple[NodeEvent, ...]:
    """What an agent has said so far: clocks of machines may disagree, so its times may be anything."""
    names = ["up", "started", "notice", "ended"][: draw(st.integers(0, 4))]
    end = {"cause": draw(st.sampled_from(["exited", "preempted", "terminated", "setup_failed", "vanished"]))}
    return tuple(NodeEvent(name, draw(moments), end if name == "ended" else {}) for name in names)


any_facts = st.builds(
    Facts,
    now=moments,
    asked_at=st.just(T0),
    is_spot=st.booleans(),
    provision_timeout=st.just(TIMEOUT),
    stop_request=st.none() | st.builds(StopRequest, moments, st.floats(0, 600)),
    events=spoken(),
    heard_at=st.none() | moments,
    is_silent=st.booleans(),
    closer=st.none() | looks,
    launches=st.integers(0, MOST_LAUNCHES + 1),
    launch=requests,
    failure=st.sampled_from([None, NO_GPU, BAD_MOUNT]),
    cluster=clusters,
    up_at=st.none() | moments,
    leaving=st.none() | leavings,
    down=requests,
    down_at=st.none() | moments,
    can_launch=st.booleans(),
)


@given(any_facts)
@examples(1000)
def test_nothing_is_launched_that_may_be_there_or_is_over(seen: Facts) -> None:
    decision = decide(seen)
    if decision.step is Step.LAUNCH:
        assert seen.can_launch
        assert (seen.events, decision.leaving, seen.stop_request) == ((), None, None)
        assert seen.launch is GONE or (seen.launch, seen.cluster) == (None, None)


@given(any_facts, leavings)
@examples(500)
def test_a_decided_leaving_never_changes(seen: Facts, leaving: EndInProgress) -> None:
    assert decide(replace(seen, leaving=leaving)).leaving == leaving


@given(any_facts)
@examples(1000)
def test_it_is_closed_only_where_nothing_stands_or_the_market_has_it(seen: Facts) -> None:
    decision = decide(seen)
    if decision.step is Step.CLOSE:
        assert decision.leaving is not None
        assert seen.launch is not UNDER_WAY
        taken = decision.leaving.cause is EndCause.PREEMPTED and seen.down is not None
        assert seen.cluster is None or taken


@given(any_facts)
@examples(1000)
def test_a_step_out_is_taken_only_with_a_reason(seen: Facts) -> None:
    decision = decide(seen)
    if decision.step in (Step.CANCEL_LAUNCH, Step.DOWN, Step.CLOSE):
        assert decision.leaving is not None
    if decision.step in (Step.LAUNCH, Step.LOOK_CLOSER):
        assert decision.leaving is None


@given(any_facts, leavings, st.booleans())
@examples(1000)
def test_the_times_of_an_end_are_in_order_and_nothing_is_billed_that_never_was(
    seen: Facts, leaving: EndInProgress, is_away: bool
) -> None:
    end = closed(seen, replace(leaving, is_away=is_away))
    if end.launched_at is None:
        assert (end.started_at, end.notice_at) == (None, None)
        assert end.cause in (EndCause.NO_CAPACITY, *WITHOUT_A_MACHINE.values())
        return
    assert seen.up_at is not None or "up" in seen.agent
    assert end.ended_at is not None
    for moment in (end.started_at, end.notice_at):
        assert moment is None or end.launched_at <= moment <= end.ended_at
    assert end.launched_at <= end.ended_at


# to the end


class Place:
    """A SkyPilot that keeps its promises, and one attempt in it. A tick is half a minute; ``luck`` decides the rest."""

    TICK = timedelta(seconds=30)

    def __init__(self, start: Facts, luck: list[int], *, is_taken: bool, is_dead: bool, job_ticks: int) -> None:
        self.facts, self.luck, self.drawn = start, luck, 0
        self.is_taken, self.is_dead, self.job_ticks = is_taken, is_dead, job_ticks
        self.patience = 3  # how often more it may fail, forget or dawdle
        self.was_silent = False

    def chance(self, of: int) -> int:
        self.drawn += 1
        return self.luck[self.drawn % len(self.luck)] % of

    def knows(self, **news: Any) -> None:
        self.facts = replace(self.facts, **news)

    def tick(self) -> None:
        self.knows(now=self.facts.now + self.TICK)
        if self.facts.launch is UNDER_WAY:
            self._launch_goes_on()
        if self.facts.down is UNDER_WAY:
            self._down_goes_on()
        self._job_goes_on()
        if self.facts.cluster is not None and self.facts.cluster.state is ClusterState.UP:
            self.knows(up_at=self.facts.up_at or self.facts.now)
        silent = self._is_silent()
        is_coming_up = not self.facts.events and self.facts.launch is not DONE
        closer = self.facts.closer if silent or is_coming_up else None
        self.knows(is_silent=silent and self.was_silent, closer=closer)
        self.was_silent = silent

    def _launch_goes_on(self) -> None:
        match self.chance(7):
            case 0 | 1:
                self.knows(launch=DONE, cluster=UP)
            case 2:
                self.knows(launch=FAILED, failure=NO_GPU, cluster=None)
            case 3:
                self.knows(launch=FAILED, failure=BAD_MOUNT, cluster=INIT)
            case 6:
                self.knows(launch=FAILED, failure=(BAD_TASK, NOT_HERE)[self.chance(2)], cluster=None)
            case 4 if self.patience > 0:
                self.patience -= 1
                self.knows(launch=GONE, cluster=(None, INIT)[self.chance(2)])
            case _:
                self.knows(cluster=INIT)

    def _down_goes_on(self) -> None:
        match self.chance(4):
            case 0 if self.patience > 0:
                self.patience -= 1
                self.knows(down=(FAILED, GONE)[self.chance(2)])
            case 1 if self.patience > 0:
                self.patience -= 1
            case _:
                self.knows(down=DONE, cluster=None)

    def _job_goes_on(self) -> None:
        """The agent's part, where there is a machine for it."""
        names = list(self.facts.agent)
        if not self._is_alive() or "ended" in names:
            return
        self.is_taken, self.is_dead = self.chance(15) == 0, self.chance(15) == 1
        self.job_ticks -= 1
        if "up" not in names:
            self._says("up")
        elif self.facts.stop_request is not None or self.job_ticks <= 0:
            cause = "exited" if self.facts.stop_request is None else "terminated"
            self._says("ended", cause=cause)
        elif "started" not in names:
            self._says("started")

    def _says(self, name: str, **data: Any) -> None:
        self.knows(events=(*self.facts.events, NodeEvent(name, self.facts.now, data)))

    def _is_alive(self) -> bool:
        is_up = self.facts.cluster is not None and self.facts.cluster.state is ClusterState.UP
        return is_up and self.facts.launch is DONE and not self.is_taken and not self.is_dead

    def _is_silent(self) -> bool:
        return not self._is_alive() and (bool(self.facts.events) or self.facts.launch is DONE)

    def do(self, step: Step, leaving: EndInProgress | None) -> None:
        self.knows(leaving=leaving)
        if step is Step.LAUNCH:
            assert self.facts.cluster is None or self.facts.launch is GONE, "two clusters"
            assert self.facts.launch is not UNDER_WAY, "two launches"
            self.is_taken = self.is_dead = False
            self.knows(launch=UNDER_WAY, failure=None, launches=self.facts.launches + 1)
        elif step is Step.CANCEL_LAUNCH:
            self.knows(launch=GONE)
        elif step is Step.DOWN:
            self.knows(down=UNDER_WAY, down_at=self.facts.now)
        elif step is Step.LOOK_CLOSER:
            cluster = None if self.is_taken else self.facts.cluster
            is_up = cluster is not None and cluster.state is ClusterState.UP
            self.knows(cluster=cluster, closer=CloserLook(cluster, is_idle=is_up and not self._is_alive()))


quiet_starts = st.builds(
    lambda launch, cluster, events, stop_request, leaving, down: facts(
        launch=launch,
        failure=BAD_MOUNT if launch is FAILED else None,
        cluster=cluster,
        events=events,
        stop_request=stop_request,
        leaving=leaving,
        down=down,
        up_at=T0 if cluster is UP else None,
        launches=0 if launch is None else 1,
    ),
    requests,
    clusters,
    st.sampled_from([(), SPEAKS, RUNS, ENDED, TAKEN]),
    st.sampled_from([None, STOP_REQUEST]),
    st.none() | leavings,
    requests,
)


@given(quiet_starts, st.lists(st.integers(0, 999), min_size=5, max_size=40), st.booleans(), st.booleans())
@examples(1500)
def test_from_every_state_an_attempt_comes_to_its_end(start: Facts, luck: list[int], taken: bool, dead: bool) -> None:
    place = Place(start, luck, is_taken=taken, is_dead=dead, job_ticks=10)
    decided = start.leaving
    for _ in range(150):
        decision = decide(place.facts)
        assert decided is None or decision.leaving == decided, "a reason that was written down changed"
        decided = decision.leaving
        if decision.step is Step.CLOSE:
            break
        place.do(decision.step, decision.leaving)
        place.tick()
    else:
        pytest.fail(f"it never ends: {place.facts}")
    assert place.facts.cluster is None or place.facts.down is not None


def test_the_simulated_place_can_be_left_in_every_way() -> None:
    """Else the test above would prove little."""
    found = {left_by(Random(seed), stop_request) for seed in range(100) for stop_request in (None, STOP_REQUEST)}
    said_elsewhere = {EndCause.SETUP_FAILED, EndCause.WITHDRAWN}  # agents say the first, `closed` the second
    assert found == set(EndCause) - said_elsewhere


def left_by(random: Random, stop_request: StopRequest | None) -> EndCause:
    luck = [random.randrange(1000) for _ in range(40)]
    place = Place(facts(), luck, is_taken=False, is_dead=False, job_ticks=10)
    while (decision := decide(place.facts)).step is not Step.CLOSE:
        place.do(decision.step, decision.leaving)
        place.tick()
        place.knows(stop_request=stop_request if place.facts.now > minute(3) else None)
    assert decision.leaving is not None
    return decision.leaving.cause
