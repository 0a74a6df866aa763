"""The one loop that acts: observe -> decide -> act -> record.

It keeps nothing that the store and the machines do not know: killed at any moment and started again, it ends in the
same state and with the same charges.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from spotwise.checkpoints.errors import CheckpointError
from spotwise.cost_models.errors import CostModelError

from ..accounting.ledger import book
from ..core.clock import Clock
from ..core.errors import LeaseLostError, SpotwiseError, StoreError, UnreadableRunError
from ..core.event_kind import EventKind
from ..core.run import Attempt, AttemptState, Run, RunState
from ..engines.base import Engine, Handle, Observation, Phase, handle_of
from ..jobfile.job_spec import JobSpec
from ..jobfile.settings import Settings
from ..planning.market_snapshot import MarketSnapshot
from ..policies import policy_named
from ..policies.base import Move, Situation, Stay, Wait
from ..store import Store
from . import lease_owner
from .active_runs import observe_all, read_active_runs, warn_of_unreadable
from .end_reason import SHORT_END, explained, missing_work
from .held_leases import LEASE_S, RENEW_S, HeldLeases
from .launches import Launch, Launches
from .money_left import Cap, MoneyLeft
from .outlook import Outlook
from .run_jobs import RunJobs
from .run_notes import RunNotes
from .run_secrets import forget_secrets, remove_left_over
from .situation import SituationReader, checkpoint_every, once_placed
from .state_machine import Transition, last_of_each_host, left_with_0_when_told, nowhere, observed, of_all_hosts
from .workloads import Workload

_log = logging.getLogger(__name__)

STORE_TIMEOUT = timedelta(minutes=10)  # a database that restarts is back by then
MIN_INTERVAL = timedelta(seconds=2)  # between two looks at a healthy attempt, however short its market's hour
CONSULT_EVERY = 1 / 240  # of a billed hour, a quarter of a minute: how often a healthy attempt is put before its policy
ESTIMATE_EVERY = 1 / 60  # of a billed hour: how often it is estimated what is left of a healthy run


class Supervisor:
    """Drives all runs whose lease it holds."""

    def __init__(
        self, store: Store, engine_named: Callable[[str], Engine], settings: Settings, clock: Clock, owner: str = ""
    ) -> None:
        self._store, self._settings, self._clock = store, settings, clock
        self._engine_named = engine_named
        self._situations = SituationReader(store, engine_named, settings, clock)
        self._owner = owner or lease_owner.me()
        self._leases = HeldLeases(store, self._owner)
        self._jobs = RunJobs()
        self._launches = Launches()
        self._consulted: dict[str, datetime] = {}
        self._lost: Mapping[str, str] = {}  # run id: why its rows cannot be read
        self._notes = RunNotes(store, clock)
        self._outlook = Outlook(store, self._notes)
        self._others = False  # there are active runs that others drive, or nobody yet

    def run(self, *, until_idle: bool) -> None:
        """Tick until nothing is left to do (``until_idle``), or for ever.

        Raises:
            StoreError: the store has been unreadable for ten minutes.
        """
        busy_at = readable_at = self._clock.now()
        self._remove_left_over()
        while True:
            now = self._clock.now()
            try:
                busy_at = now if self.tick() else busy_at
                readable_at = now
            except StoreError as error:
                if now - readable_at > STORE_TIMEOUT:
                    raise
                busy_at = now  # nobody knows whether there is something to do
                _log.warning("%s; trying again", error)
            # A run that nobody drives may be a dead supervisor's: its lease expires within LEASE_S.
            idle_for = timedelta(seconds=LEASE_S + RENEW_S) if self._others else 2 * self._settings.tick
            if until_idle and now - busy_at > idle_for:
                return
            self._clock.sleep(self._settings.tick.total_seconds())

    def _remove_left_over(self) -> None:
        """Secrets that a killed process left. What cannot be seen now is left to the next supervisor."""
        try:
            remove_left_over(self._store, self._settings.store_url, self._settings.home)
        except (StoreError, OSError) as error:
            _log.warning("secrets that are left over cannot be looked for: %s", error)

    def tick(self) -> int:
        """One round over all active runs; returns how many of them this supervisor drives."""
        active = read_active_runs(self._store)
        warn_of_unreadable(active.unreadable, self._lost)
        self._lost = active.unreadable
        held = [run for run in map(self._held, active.runs) if run is not None]
        self._others = len(active.runs) > len(held)
        # Of a run whose attempts cannot all be read, nobody knows what is placed: nothing is started.
        mine = [run for run in held if run.id not in active.unreadable]
        attempts = active.attempts
        handles: dict[str, list[Handle]] = {}
        for run in mine:
            self._guarded(run, partial(self._prepare, run, attempts, handles))
        seen = observe_all(self._engine_named, handles)
        for run in mine:
            self._guarded(run, partial(self._advance, run, attempts.get(run.id, []), seen))
        for launch in self._launches.ended(self._keep_leases):
            self._guarded(launch.run, partial(self._launch_ended, launch))
        return len(mine)

    def _guarded(self, run: Run, step: Callable[[], None]) -> None:
        """One run's fault is noted and tried again; it never stops the others."""
        self._keep_leases()
        if run.id not in self._leases:
            return
        try:
            step()
        except LeaseLostError:
            self._leases.drop(run.id)
        except StoreError:
            raise  # not this run's fault
        except (SpotwiseError, CheckpointError, CostModelError, OSError) as error:
            self._notes.fault(run, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other runs must go on
            _log.exception("run %s: a fault of spotwise itself", run.id)
            self._notes.fault(run, f"a fault of spotwise itself ({error!r}), see supervisor.log")

    # leases and launches

    def _keep_leases(self) -> None:
        self._leases.keep(self._clock.now())

    def _held(self, run: Run) -> Run | None:
        """The run, if it is ours; read anew where it has just become so, since its last holder may have changed it."""
        is_new = run.id not in self._leases
        try:
            if not self._leases.hold(run.id, self._clock.now()):
                return None
            return self._store.run(run.id) if is_new else run
        except UnreadableRunError:
            return None

    def _prepare(self, run: Run, attempts: dict[str, list[Attempt]], handles: dict[str, list[Handle]]) -> None:
        """Find what is to be observed. A launch that a dead supervisor only recorded is carried out here."""
        for live in attempts.get(run.id, []):
            if live.state.is_final or live.id in self._launches:
                continue
            new = live.state is AttemptState.LAUNCHING and not self._launches.has_done(live.id)
            if new and not self._jobs.of(run).unreadable:
                self._launch(run, live)
            else:
                handles.setdefault(run.engine, []).append(handle_of(run, live))

    def _launch(self, run: Run, attempt: Attempt) -> None:
        request = self._situations.money.bounded(self._work(run)[1].request(attempt), run, attempt)
        self._launches.begin(self._engine_named(run.engine), request, run, attempt)

    def _launch_ended(self, launch: Launch) -> None:
        run, failed = launch.run, launch.failed()
        if failed is not None:
            self._store.save_attempt(failed, self._leases[run.id])
            self._notes.happened(run, EventKind(failed.state.value), failed.end_reason, failed)
        self._launches.settle(launch.attempt.id)

    def _work(self, run: Run) -> tuple[JobSpec, Workload]:
        found = self._jobs.of(run)
        if found.unreadable:
            self._notes.fault(run, found.unreadable)
        return found.job, found.workload

    # one run

    def _advance(self, run: Run, known: list[Attempt], seen: dict[str, Observation]) -> None:
        self._notes.unreadable(run, *(seen[attempt.id].unreadable for attempt in known if attempt.id in seen))
        self._notes.unreadable(run, self._work(run)[1].unreadable)
        attempts = [self._followed(run, attempt, seen) for attempt in known]
        transition = of_all_hosts(run, attempts, self._settings.crash_limit)
        live = [attempt for attempt in attempts if not attempt.state.is_final]
        if transition.state is not None and not live:
            self._end(run, explained(run, attempts, transition, self._work(run)[1], self._engine_named(run.engine)))
        elif transition.state is not None:
            self._wind_up(run, live)
        else:
            for host, last in enumerate(last_of_each_host(run, attempts)):
                self._advance_host(run, host, last, live)

    def _advance_host(self, run: Run, host: int, last: Attempt | None, live: list[Attempt]) -> None:
        if last is not None and last.id in self._launches:
            return  # there is nothing yet to be steered
        if self._jobs.of(run).unreadable and not run.cancel_requested:
            return  # what runs may end; nothing is started or moved
        if last is not None and not last.state.is_final:
            self._steer(run, last, live)
        elif last is None or last.state is not AttemptState.COMPLETED:
            self._place(self._store.run(run.id), host)  # read anew: another host's step may have changed the run

    def _wind_up(self, run: Run, live: list[Attempt]) -> None:
        """The run is over but for hosts that still run: nothing they do is wanted any more."""
        for attempt in live:
            if attempt.id in self._launches:
                continue
            handle = handle_of(run, attempt)
            self._engine_named(run.engine).terminate(handle, grace_s=self._settings.grace.total_seconds())

    def _followed(self, run: Run, attempt: Attempt, seen: dict[str, Observation]) -> Attempt:
        if attempt.state.is_final or attempt.id not in seen:
            return attempt
        return self._follow(run, attempt, seen[attempt.id])

    def _follow(self, run: Run, attempt: Attempt, seen: Observation) -> Attempt:
        """Record what became of an attempt; its charges in the same transaction as its end."""
        if seen.phase is Phase.UNKNOWN and seen.message:
            self._notes.fault(run, seen.message)
        is_done = left_with_0_when_told(seen) and self._work(run)[1].is_done(attempt)
        known = observed(attempt, seen, self._clock.now(), is_done=is_done)
        if known == attempt:
            return attempt
        lease = self._leases[run.id]
        if not known.state.is_final:
            self._store.save_attempt(known, lease)
            return known
        workload = self._work(run)[1]
        kept = workload.progress().kept
        ended = known.evolve(epochs_kept=kept.epochs, steps_kept=kept.steps)
        charges = book(ended, workload.spans(ended)) if ended.state is not AttemptState.REFUSED else ()
        self._store.save_attempt(ended, lease, charges)
        spent = sum((charge.amount_usd for charge in charges), Decimal(0))
        message = f"{ended.end_reason}; {workload.progress().text}; {spent:.2f} USD"
        self._notes.happened(run, EventKind(ended.state.value), message, ended)
        self._outlook.warn_of_loss(run, ended, policy=self._work(run)[0].policy, workload=workload)
        return ended

    def _place(self, run: Run, host: int) -> None:
        """No attempt of this host is live: start one, or wait."""
        if run.wait_until is not None and self._clock.now() < run.wait_until:
            return
        job, workload = self._work(run)
        attempts = self._store.attempts(run.id)
        situation, known = self._situations.situation(run, job, workload, attempts, None)
        live = any(not attempt.state.is_final for attempt in attempts)
        possible = situation
        situation, spent = self._situations.money.affordable(run, attempts, possible)
        if spent is not None and spent.cap is Cap.RESERVED:
            self._wait(run, spent.until_some_is_free(possible), live)
            return
        if spent is not None:
            why = self._situations.money.too_little(spent, run, possible)
            self._give_up(run, Transition(RunState.STOPPED, why), live)
            return
        decision = policy_named(job.policy, self._settings.cooldown_hours).decide(situation)
        self._outlook.save(run, job.policy, once_placed(decision, situation), self._leases[run.id])
        if isinstance(decision, Wait):
            self._wait(run, decision, live)
        elif isinstance(decision, Move):
            self._start(run, host, len(attempts) + 1, decision, situation=situation, known=known)
        elif not isinstance(decision, Stay):
            self._give_up(run, nowhere(decision.reason, attempts), live)

    def _give_up(self, run: Run, transition: Transition, live: bool) -> None:
        """End the run, unless other hosts of it go on: then this one is left out for now."""
        if not live:
            self._end(run, transition)

    def _wait(self, run: Run, decision: Wait, live: bool) -> None:
        if run.wait_until is None:
            self._notes.happened(run, EventKind.WAITING, decision.reason)
        lease = self._leases[run.id]
        state = RunState.RUNNING if live else RunState.WAITING
        self._store.save_run(replace(run, state=state, wait_until=decision.until), lease, decision.reason)

    def _start(
        self, run: Run, host: int, number: int, decision: Move, *, situation: Situation, known: MarketSnapshot
    ) -> None:
        """Record first, launch second: a crash in between launches it again under the same id."""
        kept = self._work(run)[1].progress().kept
        attempt = Attempt(
            id=f"{run.id}-a{number}",
            run_id=run.id,
            number=number,
            offer=decision.offer,
            nodes=known.nodes(self._work(run)[0].num_nodes),
            state=AttemptState.LAUNCHING,
            reason=decision.reason,
            launched_at=self._clock.now(),
            hour_s=known.hour_s,
            cost_basis=known.cost_basis,
            checkpoint_every=checkpoint_every(self._work(run)[0], decision.offer, situation),
            epochs_kept=kept.epochs,
            steps_kept=kept.steps,
            host=host,
        )
        lease = self._leases[run.id]
        self._situations.money.forget()
        self._store.save_attempt(attempt, lease)
        self._store.save_run(replace(run, state=RunState.RUNNING, wait_until=None), lease, decision.reason)
        self._notes.happened(run, EventKind.PLACED, decision.reason, attempt)
        self._launch(run, attempt)

    def _steer(self, run: Run, attempt: Attempt, live: list[Attempt]) -> None:
        """An attempt is live: let it be, stop it for good, or end it to continue elsewhere."""
        handle = handle_of(run, attempt)
        engine = self._engine_named(run.engine)
        grace = self._settings.grace.total_seconds()
        if run.cancel_requested or run.budget_spent or attempt.migrating:
            engine.terminate(handle, grace_s=grace)
            return
        now, last = self._clock.now(), self._consulted.get(attempt.id)
        reached = self._situations.money.reached(run, live)
        if reached is not None:
            self._leave_for_money(run, attempt, engine, handle, reached)
        elif last is None or now - last > _interval(attempt, CONSULT_EVERY):
            self._consulted[attempt.id] = now
            self._consult_policy(run, attempt, engine, handle)

    def _leave_for_money(self, run: Run, attempt: Attempt, engine: Engine, handle: Handle, left: MoneyLeft) -> None:
        """Stop for good at a checkpoint; or, where other runs may set money free again, save and wait."""
        lease = self._leases[run.id]
        if left.cap is Cap.RESERVED:
            reason = f"{left.set_aside}: saving and waiting"
            self._store.save_attempt(attempt.evolve(migrating=True), lease, cause=reason)
            self._notes.happened(run, EventKind.MIGRATING, reason, attempt)
        else:
            reason = f"{left.budget} is nearly spent: saving and leaving"
            self._store.save_run(replace(run, budget_spent=True, end_reason=f"{left.budget} is spent"), lease, reason)
            self._notes.happened(run, EventKind.STOPPING, reason, attempt)
        engine.terminate(handle, grace_s=self._settings.grace.total_seconds())

    def _consult_policy(self, run: Run, attempt: Attempt, engine: Engine, handle: Handle) -> None:
        job, workload = self._work(run)
        attempts = self._store.attempts(run.id)
        situation, _ = self._situations.situation(run, job, workload, attempts, attempt)
        if self._outlook.is_due(run, situation.now, _interval(attempt, ESTIMATE_EVERY)):
            self._outlook.save(run, job.policy, situation, self._leases[run.id])
        decision = policy_named(job.policy, self._settings.cooldown_hours).decide(situation)
        elsewhere = isinstance(decision, Move) and decision.offer != attempt.offer
        if elsewhere or isinstance(decision, Wait):  # to wait is to hold nothing
            leaving = attempt.evolve(migrating=True)
            self._store.save_attempt(leaving, self._leases[run.id], cause=decision.reason)
            self._notes.happened(run, EventKind.MIGRATING, decision.reason, attempt)
            engine.terminate(handle, grace_s=self._settings.grace.total_seconds())

    def _end(self, run: Run, transition: Transition) -> None:
        if transition.state is None:
            return
        now = self._clock.now()
        missing = missing_work(self._work(run)[1]) if transition.state is RunState.COMPLETED else ""
        if missing:
            self._notes.happened(run, EventKind.INCOMPLETE, f"{SHORT_END} {missing}")
        self._keep_study(run, now)
        ended = replace(
            run,
            state=transition.state,
            ended_at=now,
            end_reason=transition.reason,
            reserved_usd=Decimal(0),
            wait_until=None,
        )
        self._store.save_run(ended, self._leases[run.id])  # checks the lease: what follows is for its holder only
        forget_secrets(run)
        self._notes.happened(run, EventKind.ENDED, f"{transition.state.value}: {transition.reason}")
        self._leases.release(run.id)
        self._notes.forget(run.id)
        self._outlook.forget(run.id)
        self._jobs.forget(run.id)
        for attempt in self._store.attempts(run.id):
            self._launches.forget(attempt.id)
            self._consulted.pop(attempt.id, None)

    def _keep_study(self, run: Run, now: datetime) -> None:
        """Of a sweep; a study that cannot be read must not keep its run from ending."""
        try:
            study = self._work(run)[1].study(self._store.charges(run.id), self._store.attempts(run.id), now)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run's end matters more
            _log.exception("the study of run %s", run.id)
            self._notes.happened(run, EventKind.FAULT, f"its study could not be kept: {error!r}")
            return
        if study is not None:
            self._store.save_study(study)


def _interval(attempt: Attempt, of_an_hour: float) -> timedelta:
    """A share of a billed hour as wall clock, but never less than two seconds."""
    return max(MIN_INTERVAL, timedelta(seconds=of_an_hour * float(attempt.hour_s)))
