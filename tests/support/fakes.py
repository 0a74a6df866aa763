"""Fakes that keep the contracts: they run the same conformance suites as the real parts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from string import Template

from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market, Offer, Pool
from spotwise.scheduler.core.clock import ManualClock
from spotwise.scheduler.core.errors import CapacityError, EngineError
from spotwise.scheduler.core.run import CostBasis
from spotwise.scheduler.engines.base import Handle, LaunchRequest, Observation, Phase
from spotwise.scheduler.node_agent.end_cause import EndCause

EXIT_PREEMPTED = 75
FOREVER_S = 10**9


def make_offer(
    zone: str = "zone-a",
    market: Market = Market.SPOT,
    *,
    price: str = "0.20",
    on_demand: str = "0.50",
    cloud: str = "aws",
    region: str = "us-east-1",
    instance_type: str = "g4dn.xlarge",
    accelerator: str = "T4",
) -> Offer:
    """An offer; on-demand offers cost what ``on_demand`` says."""
    return Offer(
        pool=Pool(cloud, region, zone, instance_type),
        market=market,
        price_usd_per_hour=Decimal(price if market is Market.SPOT else on_demand),
        on_demand_usd_per_hour=Decimal(on_demand),
        accelerator=accelerator,
        accelerator_count=1,
        vcpus=4,
        memory_gib=16,
        source="fake",
    )


def default_offers() -> list[Offer]:
    """Two spot pools, the first cheaper, and one on demand."""
    return [make_offer("zone-a"), make_offer("zone-b", price="0.22"), make_offer("zone-a", Market.ON_DEMAND)]


@dataclass(frozen=True)
class Machine:
    """One attempt as it will go if nobody interferes; interfering makes another."""

    request: LaunchRequest
    launched_at: datetime
    setup_ends_at: datetime
    ends_at: datetime  # far away for a program that runs until it is told
    cause: EndCause
    exit_code: int
    lines: tuple[tuple[datetime, str], ...]  # what is printed, and when
    notice_at: datetime | None = None

    @property
    def started_at(self) -> datetime | None:
        return None if self.cause is EndCause.SETUP_FAILED else self.setup_ends_at

    def seen(self, now: datetime) -> Observation:
        def past(moment: datetime | None) -> datetime | None:
            return moment if moment is not None and moment <= min(now, self.ends_at) else None

        known = Observation(Phase.PROVISIONING, past(self.launched_at), past(self.started_at), past(self.notice_at))
        if now < self.ends_at:
            return replace(known, phase=Phase.RUNNING if known.started_at else Phase.PROVISIONING)
        if self.cause is EndCause.NO_CAPACITY or known.launched_at is None:
            cause = EndCause.WITHDRAWN if self.cause is EndCause.TERMINATED else EndCause.NO_CAPACITY
            return Observation(Phase.ENDED, ended_at=self.ends_at, cause=cause, message="never came up")
        code = None if self.cause is EndCause.VANISHED else self.exit_code
        return replace(known, phase=Phase.ENDED, ended_at=self.ends_at, cause=self.cause, exit_code=code)


@dataclass
class FakeWorld:
    """What outlives every engine object: share it to play a supervisor that starts again."""

    machines: dict[str, Machine] = field(default_factory=dict)
    tombstones: set[str] = field(default_factory=set)
    launches: list[LaunchRequest] = field(default_factory=list)  # those that started something, in order
    calls: list[str] = field(default_factory=list)  # "launch r-a1", ... in order, also those that failed


class FakeEngine:
    """An engine in memory. Programs understand ``echo``, ``sleep`` and ``exit``; any other command runs until told.

    Tell it with `exit`, `preempt`, `vanish`, and `sold_out`, a set of offer keys without capacity; ``failing`` makes
    the next calls of a method raise, such as ``{"launch": [EngineError("...")]}``.
    """

    name = "fake"
    cost_basis = CostBasis.EMULATED
    one_machine = True

    def __init__(
        self,
        clock: ManualClock,
        world: FakeWorld | None = None,
        *,
        offers: Sequence[Offer] | None = None,
        hour_s: Decimal = Decimal(3600),
        provision_s: float = 60.0,
        hazard_per_hour: Mapping[Pool, float] | None = None,
        exit_on_notice: int = EXIT_PREEMPTED,
    ) -> None:
        self.clock = clock
        self.world = world if world is not None else FakeWorld()
        self.hour_s = hour_s
        self.sold_out: set[str] = set()
        self.failing: dict[str, list[Exception]] = {}
        self._offers = default_offers() if offers is None else list(offers)
        self._provision = timedelta(seconds=provision_s)
        self._hazard = dict(hazard_per_hour or {})
        self._exit_on_notice = exit_on_notice

    def offers(self) -> list[Offer]:
        return list(self._offers)

    def available(self) -> dict[str, bool]:
        return {offer.key: offer.key not in self.sold_out for offer in self._offers}

    def stated_belief(self, pool: Pool) -> HazardBelief | None:
        rate = self._hazard.get(pool)
        return HazardBelief(1.0, 1.0 / rate, "fake") if rate else None

    def launch(self, request: LaunchRequest) -> Handle:
        self._call("launch", request.attempt_id)
        handle = Handle(request.attempt_id, request.folder)
        if request.attempt_id in self.world.machines or request.attempt_id in self.world.tombstones:
            return handle
        if request.offer not in self._offers:
            raise EngineError(f"nobody sells {request.offer.key}")
        if request.offer.key in self.sold_out:
            raise CapacityError(f"{request.offer.key} has no capacity now")
        self.world.machines[request.attempt_id] = _machine(request, self.clock.now() + self._provision)
        self.world.launches.append(request)
        return handle

    def observe(self, handles: Sequence[Handle]) -> dict[str, Observation]:
        self._call("observe", *(handle.attempt_id for handle in handles))
        return {handle.attempt_id: self._seen(handle.attempt_id) for handle in handles}

    def terminate(self, handle: Handle, *, grace_s: float) -> None:
        self._call("terminate", handle.attempt_id)
        if handle.attempt_id in self.world.machines:
            self._end(handle.attempt_id, EndCause.TERMINATED, self._exit_on_notice)
        else:
            self.world.tombstones.add(handle.attempt_id)

    def logs(self, handle: Handle, *, tail: int | None = None, node: int = 0) -> Iterator[str]:
        machine = self.world.machines.get(handle.attempt_id)
        now = self.clock.now()
        lines = [text for at, text in machine.lines if at <= min(now, machine.ends_at)] if machine else []
        yield from lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]

    def exit(self, attempt_id: str, exit_code: int = 0) -> None:
        """The program ends by itself, now."""
        self._end(attempt_id, EndCause.EXITED, exit_code)

    def preempt(self, attempt_id: str, exit_code: int = EXIT_PREEMPTED) -> None:
        """The market takes the machine now; the program leaves with this code (137: killed after the grace)."""
        self._end(attempt_id, EndCause.PREEMPTED, exit_code)

    def vanish(self, attempt_id: str) -> None:
        """The machine is gone now, without a word."""
        self._end(attempt_id, EndCause.VANISHED, 0)

    def _end(self, attempt_id: str, cause: EndCause, exit_code: int) -> None:
        machine, now = self.world.machines[attempt_id], self.clock.now()
        if machine.ends_at <= now:
            return
        notice_at = now if cause is EndCause.PREEMPTED else machine.notice_at
        ended = replace(machine, ends_at=now, cause=cause, exit_code=exit_code, notice_at=notice_at)
        self.world.machines[attempt_id] = ended

    def _seen(self, attempt_id: str) -> Observation:
        machine = self.world.machines.get(attempt_id)
        if machine is None:
            return Observation(Phase.ENDED, cause=EndCause.WITHDRAWN, message="never launched")
        return machine.seen(self.clock.now())

    def _call(self, method: str, *attempt_ids: str) -> None:
        self.world.calls.append(" ".join([method, *attempt_ids]))
        if self.failing.get(method):
            raise self.failing[method].pop(0)


def _machine(request: LaunchRequest, launched_at: datetime) -> Machine:
    setup_code, setup_ends_at, lines = _play(request.setup, request.env, launched_at)
    cause, code, ends_at = EndCause.SETUP_FAILED, setup_code, setup_ends_at
    if setup_code == 0:
        code, ends_at, more = _play(request.command, request.env, setup_ends_at)
        cause, lines = EndCause.EXITED, lines + more
    return Machine(request, launched_at, setup_ends_at, ends_at, cause, code, lines)


def _play(
    script: str, env: Mapping[str, str], starts_at: datetime
) -> tuple[int, datetime, tuple[tuple[datetime, str], ...]]:
    """Exit code, end and printed lines of a tiny shell script."""
    now, lines = starts_at, list[tuple[datetime, str]]()
    for line in script.replace(";", "\n").splitlines():
        match shlex.split(Template(line).safe_substitute(env)):
            case []:
                continue
            case ["echo", *words]:
                lines.append((now, " ".join(words)))
            case ["sleep", seconds]:
                now += timedelta(seconds=float(seconds))
            case ["exit", code]:
                return int(code), now, tuple(lines)
            case _:
                return 0, now + timedelta(seconds=FOREVER_S), tuple(lines)
    return 0, now, tuple(lines)
