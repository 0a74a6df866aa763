"""Replays a policy on recordings, tick by tick, under rules that make results comparable with published ones.

- A policy sees the past and the present. It holds spot or on-demand capacity for a tick, or nothing; whole ticks are
  billed.
- Spot capacity can be had where the recording says so, and what is held is lost in a tick without. On-demand capacity
  can always be had.
- A start, also of the other market, takes ``restart_hours`` of an instance that is billed and does no work.
- With several recordings, what goes on in one is seen only by holding capacity there or by asking for some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from spotwise.cost_models.availability import AvailabilityHistory
from spotwise.cost_models.estimate import Estimate, MoneyQuantiles, Quantiles
from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.cost_models.tolerance import ROUNDING_ERROR

from ..policies.base import EPOCH, Candidate, Decision, Move, Policy, Situation, Stay
from .trace import Trace

NOTHING, SPOT, ON_DEMAND = ".", "S", "O"


@dataclass(frozen=True, slots=True)
class Rules:
    """What is to be done, and what it takes. All in hours."""

    work_hours: float
    deadline_hours: float
    restart_hours: float
    tick_hours: float
    checkpoint_interval_hours: float = 0.0  # of work; 0: a preemption loses none
    probe_hours: float = 0.0  # of work; an attempt to start spot capacity that is not there
    said_restart_hours: float | None = None  # what a policy is told of it until one was seen; None: the truth
    move_hours: float = 0.0  # on top of a restart in another zone than the last: to bring the checkpoint there

    @property
    def deadline_ticks(self) -> int:
        """Whole ticks until the deadline."""
        return math.floor(self.deadline_hours / self.tick_hours + ROUNDING_ERROR)

    def tick_usd(self, price_usd_per_hour: Decimal) -> Decimal:
        """What a tick costs; it is billed whole."""
        return price_usd_per_hour * Decimal(round(self.tick_hours * 3600)) / 3600


@dataclass(frozen=True, slots=True)
class Episode:
    """The same work, started at one tick of one recording, or of several side by side."""

    traces: tuple[Trace, ...]
    start_tick: int

    @property
    def id(self) -> str:
        """The names of its recordings, joined."""
        return "+".join(trace.id for trace in self.traces)

    @property
    def ticks(self) -> int:
        """Ticks from its start until the first of its recordings ends."""
        return min(trace.ticks for trace in self.traces) - self.start_tick


@dataclass(frozen=True, slots=True)
class EpisodeOutcome:
    """What a policy did with an episode."""

    id: str
    start_tick: int
    policy: str
    choices: str  # a letter a tick: S, O or .
    zones: tuple[int, ...]  # of spot capacity, by tick: which recording; -1 where none is held
    cost_usd: Decimal
    finish_hours: float | None  # None: the recording ended first
    met_deadline: bool
    starts: int
    tick_hours: float

    @property
    def spot_hours(self) -> float:
        """Billed hours of spot capacity."""
        return self.choices.count(SPOT) * self.tick_hours

    @property
    def on_demand_hours(self) -> float:
        """Billed hours of on-demand capacity."""
        return self.choices.count(ON_DEMAND) * self.tick_hours


def episodes(traces: Sequence[Trace], rules: Rules, stride_hours: float | None, *, together: bool) -> list[Episode]:
    """The episodes that recordings give.

    Args:
        stride_hours: from one start to the next, as long as the deadline still fits; None: only one, at the first tick.
        together: one job may use all recordings, instead of an episode for each.
    """
    groups = [tuple(traces)] if together else [(trace,) for trace in traces]
    step = None if stride_hours is None else max(round(stride_hours / rules.tick_hours), 1)
    found = []
    for group in groups:
        last = min(trace.ticks for trace in group) - rules.deadline_ticks
        starts = range(0, last + 1, step or last + 1) if last >= 0 else ()
        found += [Episode(group, start) for start in starts]
    return found


def replay(policy: Policy, episode: Episode, rules: Rules) -> EpisodeOutcome:
    """Play one episode to its end: when the work is done, in time or not, or when the recording ends."""
    world = _World(episode, rules)
    while not world.is_over:
        world.begin_tick()
        while not world.act(policy.decide(world.situation())):
            pass
    return world.outcome(policy.name)


class _World:
    """One episode as it goes."""

    def __init__(self, episode: Episode, rules: Rules) -> None:
        self._episode, self._rules, self._traces = episode, rules, episode.traces
        self._tick, self._work, self._unsaved = 0, rules.work_hours, 0.0
        self._held, self._zone, self._starting, self._age = NOTHING, -1, 0.0, 0
        self._last_zone = -1
        self._probed, self._has_started = 0.0, False
        self._known: list[bool | None] = [None] * len(self._traces)
        self._seen: list[AvailabilityHistory | None] = [None] * len(self._traces)
        self._choices: list[str] = []
        self._zones: list[int] = []
        self._cost, self._starts = Decimal(0), 0
        home = min(range(len(self._traces)), key=lambda z: self._traces[z].on_demand_usd_per_hour)
        self._on_demand = _offer(self._traces[home], home, Market.ON_DEMAND, self._traces[home].on_demand_usd_per_hour)
        self._spot: dict[tuple[int, Decimal], Offer] = {}

    @property
    def is_over(self) -> bool:
        return self._work <= ROUNDING_ERROR or self._tick >= self._episode.ticks

    def begin_tick(self) -> None:
        """See what can be seen; lose what is lost."""
        at, watched = self._episode.start_tick + self._tick, len(self._traces) == 1
        self._known = [None] * len(self._traces)
        self._probed = 0.0
        for zone, trace in enumerate(self._traces):
            held = self._held == SPOT and self._zone == zone
            if not watched and not held:
                continue
            there = bool(trace.available[at])
            self._note(zone, there, held=held and there)
            if held and not there:
                self._work += self._unsaved
                self._held, self._zone, self._unsaved, self._age = NOTHING, -1, 0.0, 0

    def situation(self) -> Situation:
        rules, trace_tick = self._rules, self._episode.start_tick + self._tick
        now = EPOCH + timedelta(hours=self._tick * rules.tick_hours)
        candidates = [
            self._candidate(self._spot_offer(zone, trace.spot_usd_per_hour[trace_tick]), zone)
            for zone, trace in enumerate(self._traces)
        ]
        current = None
        if self._held == ON_DEMAND:
            current = self._on_demand
        elif self._held == SPOT:
            current = candidates[self._zone].offer
        return Situation(
            now=now,
            deadline_at=EPOCH + timedelta(hours=rules.deadline_ticks * rules.tick_hours),
            hour_s=3600.0,
            candidates=(*candidates, self._candidate(self._on_demand, -1)),
            current=current,
            current_age_hours=self._age * rules.tick_hours,
            money_left_usd=None,
            starting_hours=self._starting,
            at_risk_hours=rules.checkpoint_interval_hours,
            look_hours=rules.tick_hours,
            share_done=1.0 - self._work / rules.work_hours,
            submitted_at=EPOCH,
            failed_probe_hours=rules.probe_hours,
            margin_hours=0.0,
        )

    def act(self, decision: Decision) -> bool:
        """Live through the tick as decided; False where the capacity asked for is not there: decide again."""
        choice, zone = self._chosen(decision)
        if choice == SPOT and self._known[zone] is None:
            there = bool(self._traces[zone].available[self._episode.start_tick + self._tick])
            self._note(zone, there, held=False)
            if not there:
                self._probed += self._rules.probe_hours
                return False
        if choice == SPOT and not self._known[zone]:
            choice, zone = NOTHING, -1
        self._start_or_hold(choice, zone)
        self._live_through()
        return True

    def outcome(self, policy: str) -> EpisodeOutcome:
        done = self._work <= ROUNDING_ERROR
        return EpisodeOutcome(
            id=self._episode.id,
            start_tick=self._episode.start_tick,
            policy=policy,
            choices="".join(self._choices),
            zones=tuple(self._zones),
            cost_usd=self._cost,
            finish_hours=self._tick * self._rules.tick_hours if done else None,
            met_deadline=done and self._tick <= self._rules.deadline_ticks,
            starts=self._starts,
            tick_hours=self._rules.tick_hours,
        )

    def _chosen(self, decision: Decision) -> tuple[str, int]:
        if isinstance(decision, Stay):
            return self._held, self._zone
        if not isinstance(decision, Move):
            return NOTHING, -1
        if not decision.offer.is_spot:
            return ON_DEMAND, -1
        return SPOT, next(z for z, trace in enumerate(self._traces) if _pool(trace, z) == decision.offer.pool)

    def _start_or_hold(self, choice: str, zone: int) -> None:
        if (choice, zone) != (self._held, self._zone):
            self._unsaved, self._age = 0.0, 0  # leaving on purpose saves first
            self._starting = 0.0 if choice == NOTHING else self._restart_hours(zone)
            self._starts += choice != NOTHING
        self._held, self._zone = choice, zone
        if choice == SPOT:
            self._last_zone = zone

    def _live_through(self) -> None:
        rules = self._rules
        self._choices.append(self._held)
        self._zones.append(self._zone)
        if self._held != NOTHING:
            self._cost += rules.tick_usd(self._price())
            lost_time = self._starting + self._probed
            worked = max(0.0, rules.tick_hours - lost_time)
            self._starting = max(0.0, lost_time - rules.tick_hours)
            self._work -= worked
            self._has_started = self._has_started or worked > 0
            if rules.checkpoint_interval_hours > 0 and self._held == SPOT:
                self._unsaved = math.fmod(self._unsaved + worked, rules.checkpoint_interval_hours)
            self._age += 1
        self._tick += 1

    def _price(self) -> Decimal:
        if self._held == ON_DEMAND:
            return self._on_demand.price_usd_per_hour
        return self._traces[self._zone].spot_usd_per_hour[self._episode.start_tick + self._tick]

    def _note(self, zone: int, there: bool, *, held: bool) -> None:
        self._known[zone] = there
        before, at = self._seen[zone], self._tick * self._rules.tick_hours
        self._seen[zone] = AvailabilityHistory(at, there, before, held)

    def _restart_hours(self, zone: int) -> float:
        moves = zone >= 0 and self._last_zone >= 0 and zone != self._last_zone
        return self._rules.restart_hours + (self._rules.move_hours if moves else 0.0)

    def _candidate(self, offer: Offer, zone: int) -> Candidate:
        restart, known = self._restart_hours(zone), self._known[zone] if zone >= 0 else True
        if self._rules.said_restart_hours is not None and not self._has_started:  # later it has been measured
            restart += self._rules.said_restart_hours - self._rules.restart_hours
        found = _estimate(offer, self._work, restart, self._hours_left())
        tried = EPOCH + timedelta(hours=self._tick * self._rules.tick_hours) if known is False else None
        asked = tried if len(self._traces) > 1 else None
        seen = self._seen[zone] if zone >= 0 else None
        return Candidate(offer, found, known, None, asked, restart_hours=restart, seen=seen)

    def _hours_left(self) -> float:
        return (self._rules.deadline_ticks - self._tick) * self._rules.tick_hours

    def _spot_offer(self, zone: int, price: Decimal) -> Offer:
        if (zone, price) not in self._spot:
            self._spot[zone, price] = _offer(self._traces[zone], zone, Market.SPOT, price)
        return self._spot[zone, price]


def _pool(trace: Trace, zone: int) -> Pool:
    return Pool("recorded", trace.source, trace.zone or str(zone), trace.device or "instance", trace.id)


def _offer(trace: Trace, zone: int, market: Market, price: Decimal) -> Offer:
    return Offer(_pool(trace, zone), market, price, trace.on_demand_usd_per_hour)


def _estimate(offer: Offer, work_hours: float, restart_hours: float, hours_left: float) -> Estimate:
    """Of the rest without interruption; what preemptions do to it is the policy's to know."""
    hours = work_hours + restart_hours
    cost = offer.price_usd_per_hour * Decimal(hours)
    return Estimate(
        hours=Quantiles(hours, hours, hours),
        cost_usd=MoneyQuantiles(cost, cost, cost),
        work_hours=work_hours,
        preemptions=0.0,
        chance_to_meet_deadline=1.0 if hours <= hours_left + ROUNDING_ERROR else 0.0,
        checkpoint_interval_hours=None,
        lost_work_hours=0.0,
        overhead_hours=restart_hours,
    )
