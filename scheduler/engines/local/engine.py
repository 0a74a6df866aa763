"""The local engine: attempts are processes of this machine, alone or behind an emulated spot market.

Every attempt has a *node*, a process of its own that plays the machine (see ``.node``), and a folder that outlives
both. The engine keeps no state: any process that knows an attempt's id and folder can observe or end it.

What is billed: from when the machine is up (the wait for provisioning is free, set-up is not, as clouds do it) until
the program has left or was killed, whichever is first. Without a machine that came up nothing is billed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import psutil

from spotwise.checkpoints.atomic_file import write_once
from spotwise.checkpoints.json_lines import SkippedLines, first_skipped
from spotwise.cost_models.hazard import HazardBelief
from spotwise.cost_models.offer import Market, Offer, Pool

from ...core.clock import Clock
from ...core.errors import CapacityError, EngineError
from ...core.run import CostBasis
from ...jobfile.settings import Settings
from ...node_agent.events import append_event
from ...node_agent.message_format import NodeMessageError
from ...node_agent.processes import kill_all, leftovers
from ...node_agent.steady_clock import boot_id, steady_s
from ..base import NEVER_LAUNCHED, Handle, LaunchRequest, Observation, Phase
from .anchor import market_anchor
from .folder import OWNER_ONLY, AttemptFolder, NodeRequest, unlock
from .market import EmulatedMarket, OpenMarket
from .market_file import load_market
from .observation import has_ended, never_started, observation, sessions, settled

NODE_MODULE = "spotwise.scheduler.engines.local.node"
SAME_DRAWS = "SPOTWISE_SAME_DRAWS"  # environment variable; not empty: the emulated market draws by job, not by run
_NODE_START_S = 60.0  # a node that has not detached itself by then is stuck
_CENTURY_S = 100 * 365 * 86_400.0
_ADVISOR_EVENTS = 1.0  # what an advisor states weighs as much as one preemption seen


class LocalEngine:
    """This machine. With a market: its offers, its prices, its preemptions, at its pace."""

    name = "local"
    one_machine = True  # whatever an offer names, it is this machine that trains, as one node

    def __init__(
        self,
        home: Path,
        market: EmulatedMarket | None,
        clock: Clock,
        *,
        price_usd_per_hour: Decimal = Decimal(0),
        same_draws: bool = False,
    ) -> None:
        """``same_draws``: the n-th attempt of a job lives equally long in every run of it, so that a demo repeats."""
        self.market = market
        self._same_draws = same_draws
        self.hour_s = market.hour_s if market else Decimal(3600)
        self.cost_basis = CostBasis.EMULATED if market else CostBasis.ESTIMATED
        self._home = home
        self._clock = clock
        self._price = price_usd_per_hour
        self._open: OpenMarket | None = None

    def offers(self) -> list[Offer]:
        return self.market.offers() if self.market else [_this_machine(self._price)]

    def available(self) -> dict[str, bool]:
        now = self._clock.now()
        return {offer.key: self._is_available(offer, now) for offer in self.offers()}

    def stated_belief(self, pool: Pool) -> HazardBelief | None:
        if self.market is None:
            return None
        rate = self.market.published_hazard_per_hour(pool)
        return HazardBelief(_ADVISOR_EVENTS, _ADVISOR_EVENTS / rate, f"emulated market {self.market.name}, advisor")

    def launch(self, request: LaunchRequest) -> Handle:
        handle = Handle(request.attempt_id, request.folder)
        folder = _folder(handle)
        with _disk_faults_named(folder):
            if _is_spent(folder):
                return handle
            if folder.request() is None:
                node_request = self._node_request(request)
                folder.path.mkdir(parents=True, exist_ok=True)
                write_once(folder.request_path, node_request.to_json(), mode=OWNER_ONLY)
            _start_node(folder, {**request.secrets, **request.env})
        return handle

    def observe(self, handles: Sequence[Handle]) -> dict[str, Observation]:
        return {handle.attempt_id: _observation_or_unknown(_folder(handle)) for handle in handles}

    def terminate(self, handle: Handle, *, grace_s: float) -> None:
        folder = _folder(handle)
        with _disk_faults_named(folder):
            if not has_ended(folder.events()):
                folder.ask_to_terminate(grace_s)
                _settle_if_abandoned(folder)

    def logs(self, handle: Handle, *, tail: int | None = None, node: int = 0) -> Iterator[str]:
        path = _folder(handle).log_path
        if not path.exists():
            return
        with path.open(encoding="utf-8", errors="replace") as log:
            lines = (line.rstrip("\n") for line in log)
            yield from lines if tail is None else deque(lines, maxlen=tail)

    def _node_request(self, request: LaunchRequest) -> NodeRequest:
        """What the market gives this attempt.

        Raises:
            CapacityError: the pool has no spot capacity now.
            EngineError: this machine cannot run it at all.
        """
        _check(request)
        now, steady, pool = self._clock.now(), steady_s(), request.offer.pool
        capacity_at, notice_at = now, None
        if self.market is not None:
            market = self._opened(self.market, now)
            capacity_at = market.capacity_at(pool, now)
            if not self._is_available(request.offer, now):
                raise CapacityError(f"{pool} has no spot capacity now; choose another pool or wait")
            notice_at = market.preemption_at(pool, self._draw(request), now) if request.offer.is_spot else None
        return NodeRequest(
            attempt_id=request.attempt_id,
            pool=str(pool),
            setup=request.setup,
            command=request.command,
            workdir=request.workdir,
            asked_at=now,
            capacity_at=capacity_at,
            notice_at=notice_at,
            grace_s=self.market.grace_s if self.market else 0.0,
            stop_at=_after(capacity_at, request.stop_after_s),
            stop_grace_s=request.stop_grace_s,
            asked_at_steady_s=steady,
            boot=boot_id(),
        )

    def _draw(self, request: LaunchRequest) -> str:
        """Names an instance's fate: by its run, or by its job and attempt number where a story is to be told again."""
        if not self._same_draws:
            return request.attempt_id
        job = request.run_id.rpartition("-")[0] or request.run_id
        return f"{job}{request.attempt_id.removeprefix(request.run_id)}"

    def _is_available(self, offer: Offer, at: datetime) -> bool:
        if self.market is None or not offer.is_spot:
            return True
        return self._opened(self.market, at).available(offer.pool, at)

    def _opened(self, market: EmulatedMarket, now: datetime) -> OpenMarket:
        if self._open is None:
            self._open = market.opened(market_anchor(self._home, market.name, now))
        return self._open


def create_engine(settings: Settings, clock: Clock) -> LocalEngine:
    """This machine as it is, or behind the market in a file.

    Raises:
        JobFileError: the market file has faults.
    """
    local = settings.local
    market = load_market(local.market) if local.market else None
    same_draws = bool(os.environ.get(SAME_DRAWS))
    return LocalEngine(settings.home, market, clock, price_usd_per_hour=local.price_usd_per_hour, same_draws=same_draws)


def _this_machine(price: Decimal) -> Offer:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Offer(
        pool=Pool("local", "this-machine", "", f"cpu-{cpus}"),
        market=Market.ON_DEMAND,
        price_usd_per_hour=price,
        on_demand_usd_per_hour=price,
        vcpus=float(cpus),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        source="this machine; price from the settings" if price else "this machine; free of charge",
    )


def _check(request: LaunchRequest) -> None:
    if request.nodes != 1:
        raise EngineError(f"{request.run_id} wants {request.nodes} nodes; the local engine has one: use num_nodes: 1")
    if not Path(request.workdir).is_dir():
        raise EngineError(f"{request.run_id}: workdir {request.workdir} is not a folder; correct it and submit again")


def _after(start: datetime, seconds: float | None) -> datetime | None:
    """None also where that lies beyond the calendar: cheap machines outlast any budget."""
    if seconds is None or seconds > _CENTURY_S:
        return None
    return start + timedelta(seconds=max(seconds, 0.0))


def _folder(handle: Handle) -> AttemptFolder:
    return AttemptFolder.of(handle.folder, handle.attempt_id)


@contextmanager
def _disk_faults_named(folder: AttemptFolder) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"{folder.path} cannot be used ({error}); check its disk, its rights and its space"
        ) from error


def _is_spent(folder: AttemptFolder) -> bool:
    """Whether launching it would be a second time, or after somebody ended it."""
    return bool(folder.events()) or folder.terminate_grace_s() is not None or _has_node(folder)


def _has_node(folder: AttemptFolder) -> bool:
    if not folder.lock_path.exists():
        return False
    lock = folder.try_lock()
    if lock is None:
        return True
    unlock(lock)
    return False


def _start_node(folder: AttemptFolder, env: Mapping[str, str]) -> None:
    """Start the node and wait until it has detached itself with the attempt's lock held.

    Raises:
        EngineError: it could not start, and never will; its own words are quoted.
    """
    command = [sys.executable, "-P", "-m", NODE_MODULE, str(folder.path)]  # -P: a json.py in this folder is not ours
    given = json.dumps(dict(env)).encode()
    try:
        with folder.node_log_path.open("ab") as log:
            subprocess.run(
                command, input=given, stdout=log, stderr=log, start_new_session=True, timeout=_NODE_START_S, check=True
            )
    except (OSError, subprocess.SubprocessError) as error:
        if _runs_or_is_forbidden(folder):
            return
        said = " ".join(folder.node_log_path.read_text(errors="replace").strip().splitlines()[-1:])
        raise EngineError(f"{folder.path}: the attempt's node did not start: {said or error}; see node.txt") from error


def _runs_or_is_forbidden(folder: AttemptFolder) -> bool:
    """After a start that failed: whether a node runs, or has run, all the same. If not, none ever will.

    Who starts a node may be killed a moment after the fork: the node has inherited the lock and goes on. A second
    attempt beside it would train on the same checkpoints.
    """
    lock = folder.try_lock()
    if lock is None:
        return True
    try:
        events, asked_at = folder.events(), folder.asked_at()
        if events or asked_at is None:
            return bool(events)
        append_event(folder.events_path, never_started(asked_at))
        return False
    finally:
        unlock(lock)


def _observation_or_unknown(folder: AttemptFolder) -> Observation:
    """One damaged attempt must not hide the others of its batch."""
    skipped = SkippedLines()
    try:
        with _disk_faults_named(folder):
            seen = _observe(folder, skipped)
    except (EngineError, NodeMessageError) as error:
        seen = Observation(Phase.UNKNOWN, message=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this attempt's alone
        seen = Observation(Phase.UNKNOWN, message=f"{folder.path} cannot be read: {error!r}")
    name = f"{folder.path.parent.name}/{folder.path.name}/{folder.events_path.name}"
    return replace(seen, unreadable=first_skipped({name: skipped}))


def _observe(folder: AttemptFolder, skipped: SkippedLines) -> Observation:
    events = folder.events(skipped)
    if has_ended(events):
        return observation(events)
    if not folder.request_path.exists():
        return NEVER_LAUNCHED
    if not _settle_if_abandoned(folder):
        return Observation(Phase.UNKNOWN, message="processes of a node that is gone cannot be killed; trying again")
    return observation(folder.events())


def _settle_if_abandoned(folder: AttemptFolder) -> bool:
    """If the attempt was requested and nobody plays its machine, end what is left of it and record that.

    Done under the node's lock: a node that comes up this very moment either has the lock or finds the end. False if
    something is left that cannot be killed.
    """
    if not folder.request_path.exists():
        return True
    lock = folder.try_lock()
    if lock is None:
        return True  # its node lives
    try:
        return _settle(folder)
    finally:
        unlock(lock)


def _settle(folder: AttemptFolder) -> bool:
    events, asked_at = folder.events(), folder.asked_at()
    if has_ended(events) or asked_at is None:
        return True
    if not kill_all(lambda: leftovers(folder.path, sessions(events))):
        return False
    append_event(folder.events_path, settled(asked_at, events, folder.last_beat()))
    return True
