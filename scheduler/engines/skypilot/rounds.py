"""The engine's thread: looks at every attempt again and again, and carries out what `decide` says.

The supervisor must never wait for a cloud, so all that SkyPilot is asked to do is asked for here. A round asks SkyPilot
once for all attempts; only attempts that are launched, silent or about to go cost calls of their own. Nothing is kept
here that the attempts' files do not hold, except what a new thread finds out again by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from spotwise.checkpoints.strict_json import Fields, UnreadableError
from spotwise.cost_models.offer import Offer

from ...core.clock import Clock
from ...core.errors import EngineError
from ...node_agent.end_cause import EndCause
from ...node_agent.events import NodeEventName
from ...node_agent.task import NodeTask
from ..base import NEVER_LAUNCHED, Handle, LaunchRequest, Observation, Phase
from .decide import CloserLook, Decision, EndInProgress, Facts, Step, closed, decide
from .files import FAULTS, Journal, JournalEntry, LocalCopy, written, written_end, written_price
from .landing import limit_there
from .sky import Cluster, ClusterState, RequestState, Sky, SkyUnreachableError, TaskRefusedError
from .watched import SkyPilotState, Watched

FORGET_S = 10.0  # attempts that nobody observes any more: less than a supervisor's lease lasts
AT_ONCE = 8  # attempts that are looked at in parallel

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RoundTimes:
    """How often things are looked at, and how long silence is borne; seconds."""

    round_s: float = 2.0
    silent_s: float = 15.0  # an agent on a shared folder writes twice a second, behind a URL every three
    noticed_s: float = 5.0  # once a preemption notice was seen
    settling_s: float = 90.0  # from a launch that is done to the first word of its agent
    look_again_s: float = 15.0
    ask_again_s: float = 5.0  # where a machine came up


class Rounds:
    """Looks after attempts, in a thread of its own, until the process ends."""

    def __init__(
        self,
        sky: Sky,
        clock: Clock,
        *,
        provision_timeout: timedelta,
        autostop: timedelta,
        task_of: Callable[[LaunchRequest], Mapping[str, object]],
        cluster_of: Callable[[str], str],
        is_listed: Callable[[Offer], bool],
        pace: RoundTimes,
    ) -> None:
        """
        Args:
            task_of: the SkyPilot task of a request.
            cluster_of: an attempt's cluster, by the attempt's id.
            is_listed: whether an offer's price is a catalog's, of a whole region, and not one that the settings state.
        """
        self._thread: threading.Thread | None = None
        self._sky, self._clock = sky, clock
        self._provision_timeout, self._autostop = provision_timeout, autostop
        self._task_of, self._cluster_of, self._is_listed = task_of, cluster_of, is_listed
        self._pace = pace
        self._watched: dict[str, Watched] = {}
        self._changed = threading.Condition()
        self._pool = ThreadPoolExecutor(AT_ONCE, "skypilot")
        self._errands = ThreadPoolExecutor(AT_ONCE, "skypilot-errands")  # what may take minutes
        self._over: dict[str, RequestState] = {}  # requests that are over, and how they ended
        self._unreachable = ""  # what is wrong with SkyPilot now

    # for the supervisor's thread

    def launch(self, request: LaunchRequest, handle: Handle) -> None:
        with self._changed:
            watched = self._entry(handle)
            watched.request = watched.request or request
            self._changed.notify_all()

    def seen(self, handles: Sequence[Handle], patience_s: float) -> dict[str, Observation]:
        """What was seen of these attempts last; waits for the first look at them, but not for long."""
        with self._changed:
            watched = {handle.attempt_id: self._entry(handle) for handle in handles}
            self._changed.notify_all()
            self._changed.wait_for(lambda: all(w.seen is not None for w in watched.values()), patience_s)
            unknown = Observation(Phase.UNKNOWN, message=self._unreachable)
            return {attempt_id: w.seen or unknown for attempt_id, w in watched.items()}

    def hurry(self) -> None:
        """Something was asked for that should not wait for the next round."""
        with self._changed:
            self._changed.notify_all()

    def _entry(self, handle: Handle) -> Watched:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="skypilot-rounds", daemon=True)
            self._thread.start()
        watched = self._watched.setdefault(handle.attempt_id, Watched(handle, 0.0))
        watched.asked_at_s = time.monotonic()
        return watched

    # the thread

    def _run(self) -> None:
        while True:
            began_s = time.monotonic()
            with self._changed:
                self._watched = {i: w for i, w in self._watched.items() if began_s - w.asked_at_s < FORGET_S}
                watched = [w for w in self._watched.values() if w.seen is None or w.seen.phase is not Phase.ENDED]
            if watched:
                list(self._pool.map(self._get_to_know, [w for w in watched if w.journal is None]))
                world = self._world(watched)
                list(self._pool.map(partial(self._look, world), watched))
            with self._changed:
                self._changed.notify_all()
                self._changed.wait_for(self._has_news, max(self._pace.round_s - (time.monotonic() - began_s), 0.1))

    def _has_news(self) -> bool:
        return any(watched.seen is None for watched in self._watched.values())

    def _world(self, watched: list[Watched]) -> SkyPilotState | None:
        """SkyPilot's books; None where it does not answer.

        Clusters first: asked for them, SkyPilot starts its server where none runs, and asked for requests it does not.
        And again where a request has just ended: what it brought about must not be missing.
        """
        ids = {i for w in watched if w.journal for i in (w.journal.launch, w.journal.down) if i}
        try:
            clusters, known = self._sky.clusters(), set(self._over)
            requests = self._requests(ids)
            world = SkyPilotState(clusters if set(self._over) == known else self._sky.clusters(), requests)
        except SkyUnreachableError as fault:
            if not self._unreachable:
                _log.warning("%s; trying again", fault)
            self._unreachable = str(fault)
            return None
        self._unreachable = ""
        return world

    def _get_to_know(self, watched: Watched) -> None:
        """Read what does not change, or changes through this thread only."""
        with suppress(Exception):  # the look that follows meets the same fault and shows it
            watched.task = watched.files.task()
            watched.journal = watched.files.journal()

    def _requests(self, ids: set[str]) -> dict[str, RequestState]:
        """How far these are; those that are over are not asked about again. What SkyPilot does not know is gone."""
        open_ = sorted(ids - self._over.keys())
        found = dict.fromkeys(open_, RequestState.GONE) | (self._sky.requests(open_) if open_ else {})
        self._over |= {i: state for i, state in found.items() if state is not RequestState.UNDER_WAY}
        return {i: self._over.get(i, RequestState.UNDER_WAY) for i in ids}

    def _look(self, world: SkyPilotState | None, watched: Watched) -> None:
        """One attempt, once. A fault is shown as an unknown phase, and the next round tries again."""
        if watched.errand is not None and not watched.errand.done():
            return
        try:
            errand, watched.errand = watched.errand, None
            if errand is not None:
                errand.result()
            seen = self._attend(watched, world)
        except (*FAULTS, EngineError) as fault:
            seen = Observation(Phase.UNKNOWN, message=str(fault))
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is this attempt's alone
            _log.warning("attempt %s cannot be looked at", watched.handle.attempt_id, exc_info=True)
            seen = Observation(Phase.UNKNOWN, message=f"it cannot be looked at: {fault!r}")
        with self._changed:
            watched.seen = replace(seen, unreadable=watched.files.unreadable)

    def _attend(self, watched: Watched, world: SkyPilotState | None) -> Observation:
        now, journal = self._clock.now(), watched.journal or watched.files.journal()
        task = watched.task = watched.task or watched.files.task()
        if task is None:
            return NEVER_LAUNCHED
        if journal.ended is not None:
            LocalCopy(watched.handle).sync()
            return journal.ended
        if world is None or watched.journal is None:
            return self._without_sky(watched, task, journal, now)
        facts = self._facts(watched, task, journal, world, now)
        return self._carry_out(watched, self._with_landing(watched, task, facts), decide(facts))

    def _without_sky(self, watched: Watched, task: NodeTask, journal: Journal, now: datetime) -> Observation:
        """What the agent itself says, while nobody can be asked to do anything."""
        facts = replace(self._facts(watched, task, journal, SkyPilotState({}, {}), now), is_silent=False)
        LocalCopy(watched.handle).sync()
        speaks = NodeEventName.UP in facts.agent and NodeEventName.ENDED not in facts.agent
        return decide(facts).seen if speaks else Observation(Phase.UNKNOWN, message=self._unreachable)

    def _facts(self, watched: Watched, task: NodeTask, journal: Journal, world: SkyPilotState, now: datetime) -> Facts:
        files, events = watched.files, watched.files.events()
        cluster = world.clusters.get(self._cluster_of(task.attempt_id))
        launch = _state(world, journal.launch)
        if launch is RequestState.FAILED and watched.failure is None:
            watched.failure = self._sky.failure(journal.launch)
        down = _state(world, journal.down)
        if down is RequestState.DONE and watched.gone_at is None:
            watched.gone_at = self._sky.ended_at(journal.down)
        up_at = journal.up_at
        watched.recorded_at = _earliest(watched.recorded_at, cluster)
        if cluster is not None and cluster.state is ClusterState.UP and up_at is None:
            up_at = watched.recorded_at or cluster.launched_at
            watched.note(JournalEntry.UP, now, at=up_at.isoformat())
        self._listen(watched, launch, now)
        return Facts(
            now=now,
            asked_at=task.asked_at,
            is_spot=task.is_spot,
            provision_timeout=self._provision_timeout,
            autostop=self._autostop,
            stop_request=files.stop_request(now),
            events=events,
            heard_at=watched.heard_at,
            is_silent=self._is_silent(watched, launch, noticed=any(e.name == NodeEventName.NOTICE for e in events)),
            closer=watched.closer,
            launches=journal.launches,
            launched_at=journal.launched_at,
            launch=launch,
            failure=watched.failure,
            cluster=cluster,
            up_at=up_at,
            leaving=journal.leaving,
            down=down,
            down_at=journal.down_at,
            gone_at=watched.gone_at,
            offered=journal.offered,
            landing=journal.landing,
            can_launch=watched.request is not None,
            storage=watched.handle.run_url.rpartition("/")[0],
        )

    def _with_landing(self, watched: Watched, task: NodeTask, facts: Facts) -> Facts:
        """Where its machines came up, as soon as SkyPilot can say: a region's zones have prices of their own."""
        if not facts.wants_landing:
            return facts
        cluster = self._cluster_of(watched.handle.attempt_id)
        found = watched.landing.answer(lambda: self._errands.submit(self._sky.landed, cluster), self._pace.ask_again_s)
        if found is None:
            return facts
        if (limit := limit_there(task, facts.offered, found)) is not None:
            watched.files.limit(limit)
        price = written_price(found.price_usd_per_hour)
        watched.note(JournalEntry.LANDED, facts.now, zone=found.zone, price_usd_per_hour=price)
        return replace(facts, landing=found)

    def _listen(self, watched: Watched, launch: RequestState | None, now: datetime) -> None:
        """Silence is measured here, on this clock, from the last change: clocks of two machines never meet.

        When it began is the machine's own word, though: a supervisor that was away must not bill for that.
        """
        sign = watched.files.sign_of_life()
        is_coming_up = not sign and launch is not RequestState.DONE
        if sign != watched.heard or watched.heard_at is None or is_coming_up:
            watched.heard, watched.heard_at, watched.heard_at_s = sign, told_at(sign, now), time.monotonic()
            watched.closer = watched.closer if is_coming_up else None

    def _is_silent(self, watched: Watched, launch: RequestState | None, *, noticed: bool) -> bool:
        silent_s = time.monotonic() - watched.heard_at_s
        if watched.heard:
            return silent_s > (self._pace.noticed_s if noticed else self._pace.silent_s)
        return launch is RequestState.DONE and silent_s > self._pace.settling_s

    def _carry_out(self, watched: Watched, facts: Facts, decision: Decision) -> Observation:
        leaving = decision.leaving
        if leaving is not None and facts.leaving is None:
            watched.note(JournalEntry.LEAVING, facts.now, **written(leaving))
        if watched.heard:
            LocalCopy(watched.handle).sync()
        step = decision.step
        if step is Step.LAUNCH:
            watched.errand = self._errands.submit(self._launch, watched, facts.now)
        elif step is Step.CANCEL_LAUNCH and watched.journal is not None:
            self._sky.cancel(watched.journal.launch)
        elif step is Step.LOOK_CLOSER:
            self._look_closer_now_and_then(watched)
        elif step is Step.DOWN:
            watched.note(
                JournalEntry.DOWN, facts.now, request=self._sky.down(self._cluster_of(watched.handle.attempt_id))
            )
        if leaving is None or not (step is Step.CLOSE or (step is Step.DOWN and leaving.cause is EndCause.PREEMPTED)):
            return decision.seen
        if step is Step.CLOSE and self._is_launching_unnoted(watched, facts):
            return decision.seen
        if not facts.wants_landing or watched.landing.is_given_up:  # else it would be billed at another price
            end = closed(facts, leaving)
            watched.note(JournalEntry.ENDED, facts.now, **written_end(end))
            return end
        return decision.seen

    def _launch(self, watched: Watched, now: datetime) -> None:
        """Ask for the cluster, unless an earlier supervisor has and did not live to write it down."""
        if watched.request is None:
            return
        cluster = self._cluster_of(watched.handle.attempt_id)
        under_way = self._sky.launches_of(cluster)
        minutes = max(1, round(self._autostop / timedelta(minutes=1)))
        watched.failure = None
        try:
            request = under_way[0] if under_way else self._sky.launch(cluster, self._task_of(watched.request), minutes)
        except TaskRefusedError as fault:
            refused = EndInProgress(refusal(fault), now, message=str(fault))
            watched.note(JournalEntry.LEAVING, now, **written(refused))
        else:
            offer = watched.request.offer
            price = written_price(offer.price_usd_per_hour if self._is_listed(offer) else None)
            watched.note(JournalEntry.LAUNCHING, now, request=request, price_usd_per_hour=price)

    def _is_launching_unnoted(self, watched: Watched, facts: Facts) -> bool:
        """Whether a supervisor that was killed had asked for it: its machine would come up though nobody knew of it."""
        under_way = [] if facts.launch else self._sky.launches_of(self._cluster_of(watched.handle.attempt_id))
        if under_way:
            watched.note(JournalEntry.LAUNCHING, facts.now, request=under_way[0])
        return bool(under_way)

    def _look_closer_now_and_then(self, watched: Watched) -> None:
        """In between, a cloud that could not be asked still counts as one that cannot."""
        if time.monotonic() - watched.looked_at_s >= self._pace.look_again_s:
            watched.looked_at_s, watched.look_fault = time.monotonic(), None
            watched.errand = self._errands.submit(self._look_closer, watched)
        elif watched.look_fault is not None:
            raise watched.look_fault

    def _look_closer(self, watched: Watched) -> None:
        name = self._cluster_of(watched.handle.attempt_id)
        try:
            cluster = self._sky.look_closer(name)
            is_idle = cluster is not None and cluster.state is ClusterState.UP and self._sky.is_idle(name)
            watched.closer = CloserLook(cluster, is_idle, self._sky.last_lines(name) if is_idle else ())
        except SkyUnreachableError as fault:
            watched.look_fault = fault
            raise


def _state(world: SkyPilotState, request: str) -> RequestState | None:
    """What was asked for only after the books were read is under way."""
    return world.requests.get(request, RequestState.UNDER_WAY) if request else None


def refusal(fault: TaskRefusedError) -> EndCause:
    """What SkyPilot's no to a launch means for the attempt."""
    if fault.for_good:
        return EndCause.UNLAUNCHABLE
    return EndCause.NOT_OFFERED if fault.of_place else EndCause.LAUNCH_FAILED


def told_at(sign: bytes, now: datetime) -> datetime:
    """When a node gave this sign of life, by its own clock but never in our future; ``now`` where it does not say."""
    try:
        return min(Fields.of(sign).moment("at"), now)
    except UnreadableError:
        return now


def _earliest(recorded_at: datetime | None, cluster: Cluster | None) -> datetime | None:
    """SkyPilot's own bill begins with a cluster's first record; what it calls launched moves on until it is up."""
    if cluster is None:
        return None  # the next one is another machine
    return cluster.launched_at if recorded_at is None else min(recorded_at, cluster.launched_at)
