"""From what is known of an attempt to what has to be done for it next. Pure: `rounds` gathers, and carries out.

An attempt is a cluster named after it. It is launched once, lives as long as its first node's agent speaks, and is over
when the cluster is gone from SkyPilot's books: only then is nothing billed any more. The one exception is a machine
that the market took: it is gone already, and only SkyPilot's record of it has to follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ...node_agent.end_cause import EndCause
from ...node_agent.events import NodeEvent, NodeEventName
from ...node_agent.log_message import StorageNotSeen
from ...node_agent.program_end import ProgramEnd
from ...node_agent.task import StopRequest
from ..base import Observation, Phase
from .sky import Cluster, ClusterState, Failure, Landing, RequestState

SLACK = timedelta(seconds=30)  # an agent that was told to leave has this long beyond its grace to say that it has
DOWN_AGAIN = timedelta(seconds=30)  # from a request to end the cluster that came to nothing to the next
# What a cause means where no machine ever came up; any other then means that there was no capacity.
_WITHOUT_A_MACHINE = {
    EndCause.LAUNCH_FAILED: EndCause.LAUNCH_FAILED,
    EndCause.NOT_OFFERED: EndCause.NOT_OFFERED,
    EndCause.UNLAUNCHABLE: EndCause.UNLAUNCHABLE,
    EndCause.TERMINATED: EndCause.WITHDRAWN,
    EndCause.WITHDRAWN: EndCause.WITHDRAWN,
}
MOST_LAUNCHES = 5  # of one attempt; more than one only where SkyPilot's server forgot an earlier one


class Step(StrEnum):
    """What is to be done next."""

    REST = "rest"
    LAUNCH = "launch"
    CANCEL_LAUNCH = "cancel launch"
    LOOK_CLOSER = "look closer"  # the agent is silent: ask the cloud
    DOWN = "down"
    CLOSE = "close"  # nothing is left of it: write down how it ended


@dataclass(frozen=True, slots=True)
class EndInProgress:
    """The attempt is over; its cluster may still be there."""

    cause: EndCause
    at: datetime
    exit_code: int | None = None
    message: str = ""
    is_away: bool = False  # its machine went with it, so that nothing is billed after it


@dataclass(frozen=True, slots=True)
class CloserLook:
    """What the cloud itself said of a silent attempt."""

    cluster: Cluster | None
    is_idle: bool = False  # nothing runs on it any more
    last_lines: Sequence[str] = ()  # of the log of what ran


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one attempt."""

    now: datetime
    asked_at: datetime
    is_spot: bool
    provision_timeout: timedelta
    autostop: timedelta = timedelta(0)  # an idle cluster ends itself after this time
    stop_request: StopRequest | None = None  # to end it
    events: Sequence[NodeEvent] = ()  # of its first node's agent
    heard_at: datetime | None = None  # when the agent last gave a sign of life, on our clock
    is_silent: bool = False  # it has given none for too long, or never one since its cluster was set up
    closer: CloserLook | None = None
    launches: int = 0  # how often it was asked for
    launched_at: datetime | None = None  # when it was asked for last
    launch: RequestState | None = None  # the newest launch; None: never asked for
    failure: Failure | None = None
    cluster: Cluster | None = None  # in SkyPilot's books
    up_at: datetime | None = None  # when billing began, once it was ever up
    offered: Decimal | None = None  # the catalog's price of the region; None: its price is no question of the zone
    landing: Landing | None = None  # where it came up, once SkyPilot said so
    leaving: EndInProgress | None = None  # as written down earlier
    down: RequestState | None = None  # the newest request to end the cluster
    down_at: datetime | None = None  # when that was asked for
    gone_at: datetime | None = None  # when SkyPilot was done with it
    storage: str = ""  # where it and its nodes are to meet
    can_launch: bool = True  # whether all that a launch needs is at hand: secrets are not written down

    @property
    def agent(self) -> dict[str, NodeEvent]:
        """The first event of each name."""
        return {event.name: event for event in reversed(self.events)}

    @property
    def wants_landing(self) -> bool:
        """Whether its price is still to be found out."""
        return self.up_at is not None and self.offered is not None and self.landing is None

    @property
    def is_launching(self) -> bool:
        return self.launch is RequestState.UNDER_WAY


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and what to tell the supervisor meanwhile."""

    step: Step
    seen: Observation
    leaving: EndInProgress | None = None  # to be written down before the step is taken


def decide(facts: Facts) -> Decision:
    """The next step of an attempt that has not ended."""
    leaving = facts.leaving or reason_to_leave(facts)
    if leaving is not None:
        return Decision(_step_out(facts, leaving), _seen(facts, leaving), leaving)
    if _is_to_be_launched(facts):
        return Decision(Step.LAUNCH if facts.can_launch else Step.REST, _seen(facts, None))
    return Decision(Step.LOOK_CLOSER if _needs_a_closer_look(facts) else Step.REST, _seen(facts, None))


def reason_to_leave(facts: Facts) -> EndInProgress | None:
    """Why the attempt is over; None while it is not."""
    return (
        _said_by_the_agent(facts)
        or _stop_requested(facts)
        or _failed_to_launch(facts)
        or _too_late(facts)
        or _found_by_a_closer_look(facts)
    )


def closed(facts: Facts, leaving: EndInProgress) -> Observation:
    """What an attempt is seen as for ever, now that nothing of it is left."""
    launched = _launched_at(facts)
    if launched is None or leaving.cause is EndCause.NO_CAPACITY:
        # Nothing ever came up, so nothing is billed: not even a failed launch's time.
        cause = _WITHOUT_A_MACHINE.get(leaving.cause, EndCause.NO_CAPACITY)
        return Observation(Phase.ENDED, ended_at=leaving.at, cause=cause, message=leaving.message)
    ended = max(launched, _billed_until(facts, leaving))
    return Observation(
        Phase.ENDED,
        launched_at=launched,
        started_at=_between(launched, _time_of(facts, NodeEventName.STARTED), ended),
        notice_at=_between(launched, _time_of(facts, NodeEventName.NOTICE), ended),
        ended_at=ended,
        cause=leaving.cause,
        exit_code=leaving.exit_code,
        message=leaving.message,
        **_where(facts),
    )


def _where(facts: Facts) -> dict[str, Any]:
    landing = facts.landing
    return {} if landing is None else {"zone": landing.zone, "price_usd_per_hour": landing.price_usd_per_hour}


def _billed_until(facts: Facts, leaving: EndInProgress) -> datetime:
    """What went while nobody looked went when it was taken, when SkyPilot says, or when it had been idle for long."""
    if leaving.is_away:
        return leaving.at
    if facts.down is None:
        return min(facts.now, leaving.at + facts.autostop)
    return min(facts.now, facts.gone_at or facts.now)


def _said_by_the_agent(facts: Facts) -> EndInProgress | None:
    event = facts.agent.get(NodeEventName.ENDED)
    if event is None:
        return None
    end = ProgramEnd.from_event(event)
    return EndInProgress(end.cause, end.at, end.exit_code, end.message, is_away=end.cause is EndCause.PREEMPTED)


def _stop_requested(facts: Facts) -> EndInProgress | None:
    """Where the agent is not there to act on the request to stop, or does not."""
    if facts.stop_request is None:
        return None
    if NodeEventName.UP not in facts.agent:
        return EndInProgress(EndCause.TERMINATED, facts.now, message="ended by spotwise before its program started")
    if facts.now < facts.stop_request.asked_at + timedelta(seconds=facts.stop_request.grace_s) + SLACK:
        return None
    return EndInProgress(EndCause.TERMINATED, facts.now, message="it did not say in time that it had left")


def _failed_to_launch(facts: Facts) -> EndInProgress | None:
    if NodeEventName.UP in facts.agent or facts.launch not in (RequestState.FAILED, RequestState.GONE):
        return None  # an agent that speaks is up, whatever SkyPilot thinks of it
    if facts.failure is not None and facts.failure.of_capacity:
        return EndInProgress(EndCause.NO_CAPACITY, facts.now, message=facts.failure.message)
    if facts.failure is not None and facts.cluster is None and facts.up_at is None and facts.failure.refused:
        cause = EndCause.UNLAUNCHABLE if facts.failure.of_request else EndCause.NOT_OFFERED
        return EndInProgress(cause, facts.now, message=facts.failure.message)
    if facts.failure is not None and not _needs_a_closer_look(facts):
        return _broken_launch(facts, facts.failure.message)
    if facts.launch is RequestState.GONE and facts.launches >= MOST_LAUNCHES and facts.cluster is None:
        return EndInProgress(
            EndCause.LAUNCH_FAILED, facts.now, message=f"SkyPilot forgot {facts.launches} launches of it"
        )
    return None


def _needs_a_closer_look(facts: Facts) -> bool:
    """A silent agent; or a launch that broke on a machine: the market may have taken it, which is nobody's fault."""
    broke = facts.failure is not None and not facts.failure.of_capacity and facts.cluster is not None
    return facts.is_silent or (broke and NodeEventName.UP not in facts.agent and facts.closer is None)


def _broken_launch(facts: Facts, why: str) -> EndInProgress:
    if facts.closer is None or facts.closer.cluster is not None:
        return EndInProgress(EndCause.LAUNCH_FAILED, facts.now, message=why)
    cause = EndCause.NO_CAPACITY if facts.up_at is None else _loss(facts)  # what was up was billed
    return EndInProgress(cause, facts.now, message="the machine was taken back before it was set up", is_away=True)


def _too_late(facts: Facts) -> EndInProgress | None:
    """Provisioning that never finishes, or a node on which nothing ever starts."""
    since = facts.launched_at or (None if facts.cluster is None else facts.asked_at)
    if NodeEventName.UP in facts.agent or since is None or facts.now < since + facts.provision_timeout:
        return None  # what SkyPilot was never asked for, because it is away, is not late
    minutes = facts.provision_timeout / timedelta(minutes=1)
    if facts.up_at is None:
        return EndInProgress(EndCause.NO_CAPACITY, facts.now, message=f"it did not come up within {minutes:g} minutes")
    message = f"the machine came up, but nothing began on it within {minutes:g} minutes"
    return EndInProgress(EndCause.LAUNCH_FAILED, facts.now, message=message)


def _found_by_a_closer_look(facts: Facts) -> EndInProgress | None:
    """The agent is silent, and the cloud says why. A machine that is there and works is only out of touch."""
    if not facts.is_silent or facts.closer is None:
        return None
    cluster, spoke = facts.closer.cluster, NodeEventName.UP in facts.agent
    if cluster is not None and cluster.state is ClusterState.UP:
        return _agent_died(facts, spoke) if facts.closer.is_idle else None
    if not spoke:
        return _broken_launch(facts, "the machine broke before it was set up")
    last, message = facts.heard_at or facts.now, "the machine went away without a word"
    return EndInProgress(_loss(facts), last, message=message, is_away=True)


def _loss(facts: Facts) -> EndCause:
    return EndCause.PREEMPTED if facts.is_spot else EndCause.VANISHED


def _agent_died(facts: Facts, spoke: bool) -> EndInProgress:
    if spoke:
        return EndInProgress(
            EndCause.VANISHED, facts.now, message="the machine is up, but its agent died: out of memory?"
        )
    lines = facts.closer.last_lines if facts.closer is not None else ()
    not_seen = StorageNotSeen.find(lines)
    if not_seen is not None:
        return EndInProgress(EndCause.UNLAUNCHABLE, facts.now, message=_does_not_see(not_seen.node, facts.storage))
    why = f": {' | '.join(lines)}" if lines else ""
    return EndInProgress(EndCause.LAUNCH_FAILED, facts.now, message=f"the node could not be prepared{why}")


def _does_not_see(node: str, storage: str) -> str:
    must = "all machines must reach the same" if "://" in storage else "it must be a folder that all machines share"
    return f"the node {node} does not see skypilot.storage {storage}; {must}"


def _is_to_be_launched(facts: Facts) -> bool:
    """Not where it was; but a launch that SkyPilot forgot half way has to be finished: the same name, the same machine,
    and an agent that is there after all leaves the second job nothing to do."""
    if NodeEventName.UP in facts.agent:
        return False
    if facts.launch is RequestState.GONE:
        return facts.cluster is None or facts.launches < MOST_LAUNCHES
    return facts.launch is None and facts.cluster is None


def _step_out(facts: Facts, leaving: EndInProgress) -> Step:
    """How an attempt that is over is ended for good."""
    if facts.is_launching:
        return Step.CANCEL_LAUNCH
    if facts.cluster is None:
        return Step.CLOSE
    if facts.down is None:
        return Step.DOWN
    if leaving.cause is EndCause.PREEMPTED:
        return Step.CLOSE  # the market has it already; SkyPilot's record follows
    again_at = facts.down_at and facts.down_at + DOWN_AGAIN
    waits = facts.down is RequestState.UNDER_WAY or (again_at is not None and facts.now < again_at)
    return Step.REST if waits else Step.DOWN


def _seen(facts: Facts, leaving: EndInProgress | None) -> Observation:
    started = _time_of(facts, NodeEventName.STARTED)
    phase = Phase.RUNNING if started else Phase.PROVISIONING
    message = "" if leaving is None else leaving.message
    notice = _time_of(facts, NodeEventName.NOTICE)
    return Observation(phase, _launched_at(facts), started, notice, message=message, **_where(facts))


def _launched_at(facts: Facts) -> datetime | None:
    return facts.up_at or _time_of(facts, NodeEventName.UP)


def _between(first: datetime, moment: datetime | None, last: datetime) -> datetime | None:
    """The moment, which another machine's clock told, in the order in which things happened."""
    return None if moment is None else min(max(first, moment), last)


def _time_of(facts: Facts, name: NodeEventName) -> datetime | None:
    event = facts.agent.get(name)
    return None if event is None else event.time
