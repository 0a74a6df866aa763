"""Launches under way: several at a time, so that a round with many of them is not as long as all of them together.

Each attempt is recorded before its launch begins, and every launch can be repeated: killed at any moment, the next
supervisor begins those anew that it finds recorded only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock

from ..core.errors import CapacityError, EngineError
from ..core.run import Attempt, AttemptState, Run
from ..engines.base import Engine, Handle, LaunchRequest
from ..node_agent.end_cause import EndCause
from .run_code import make_work_folder

AT_ONCE = 8  # most of a launch is waiting: for a process that starts, or for a store of files
_PATIENCE_S = 2.0  # of one round, for launches; what takes longer is not observed until it is done
_BREATH_S = 0.5  # between two looks at the leases meanwhile


@dataclass(frozen=True, slots=True)
class Launch:
    """One launch, under way or done."""

    run: Run
    attempt: Attempt
    outcome: Future[Handle]

    def failed(self) -> Attempt | None:
        """The attempt as it has ended without a machine; None where it was launched.

        Raises:
            Exception: what its engine did not foresee; it is to be launched anew.
        """
        try:
            self.outcome.result()
        except CapacityError as error:
            return self._ended(AttemptState.REFUSED, EndCause.NO_CAPACITY, error)
        except EngineError as error:
            return self._ended(AttemptState.FAILED, EndCause.LAUNCH_FAILED, error)
        return None

    def _ended(self, state: AttemptState, cause: EndCause, why: EngineError) -> Attempt:
        ended_at = self.attempt.launched_at  # nothing came up, nothing is billed
        return self.attempt.evolve(state=state, ended_at=ended_at, end_cause=cause, end_reason=str(why))


class Launches:
    """The launches that one supervisor has begun. An attempt under way is neither observed nor steered."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, "launch")
        self._making_folders = Lock()
        self._under_way: dict[str, Launch] = {}
        self._done: set[str] = set()

    def __contains__(self, attempt_id: str) -> bool:
        """Whether the launch of this attempt is under way."""
        return attempt_id in self._under_way

    def has_done(self, attempt_id: str) -> bool:
        """Whether this supervisor has launched the attempt."""
        return attempt_id in self._done

    def begin(self, engine: Engine, request: LaunchRequest, run: Run, attempt: Attempt) -> None:
        self._under_way[attempt.id] = Launch(run, attempt, self._pool.submit(self._launch, engine, request, run))

    def _launch(self, engine: Engine, request: LaunchRequest, run: Run) -> Handle:
        with self._making_folders:  # hosts of one run share its folder
            make_work_folder(run)
        return engine.launch(request)

    def ended(self, keep_leases: Callable[[], None]) -> list[Launch]:
        """Those that have ended, after waiting a little for all; ``keep_leases`` is called now and then meanwhile."""
        give_up = time.monotonic() + _PATIENCE_S
        while pending := [each.outcome for each in self._under_way.values() if not each.outcome.done()]:
            left_s = give_up - time.monotonic()
            if left_s <= 0:
                break
            wait(pending, min(left_s, _BREATH_S), return_when=FIRST_COMPLETED)
            keep_leases()
        over = [launch for launch in self._under_way.values() if launch.outcome.done()]
        for launch in over:
            del self._under_way[launch.attempt.id]
        return over

    def settle(self, attempt_id: str) -> None:
        """It needs no launch any more: it has begun, or it has failed for good."""
        self._done.add(attempt_id)

    def forget(self, attempt_id: str) -> None:
        self._done.discard(attempt_id)
