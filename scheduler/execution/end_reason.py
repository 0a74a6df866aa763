"""Why a run is over, with what a person needs beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..core.ansi import plain
from ..core.errors import EngineError
from ..core.masking import masked
from ..core.run import Attempt, AttemptState, Run, RunState
from ..engines.base import Engine, handle_of
from .run_secrets import read_secrets
from .state_machine import Transition
from .workloads import Workload

SHORT_END = "the program ended well, but below the work that the job file states:"
LOG_LINES = 8  # of a crashed program, shown with the reason


def explained(
    run: Run, attempts: Sequence[Attempt], transition: Transition, workload: Workload, engine: Engine
) -> Transition:
    """The transition with a crashed program's last lines, or with the work that is missing."""
    if transition.state is RunState.COMPLETED:
        missing = missing_work(workload)
        return replace(transition, reason=f"{SHORT_END} {missing}") if missing else transition
    if transition.state is not RunState.FAILED:
        return transition
    crashed = [attempt for attempt in attempts if attempt.state is AttemptState.FAILED] or attempts
    try:
        lines = list(engine.logs(handle_of(run, crashed[-1]), tail=LOG_LINES))
    except (EngineError, OSError) as error:  # the run has ended all the same
        lines = [f"its log cannot be read: {error}"]
    log = masked("\n".join(f"  | {plain(line).rstrip()}" for line in lines), read_secrets(run).values())
    return replace(transition, reason=f"{transition.reason}\n{log}" if log else transition.reason)


def missing_work(workload: Workload) -> str:
    """How far a run is that ended below the work that its job file states, for people; "" where it reached it.

    A program may end early of its own will, and says so with ``session.finish()``; its progress is then shown too.
    """
    progress = workload.progress()
    return progress.text if progress.is_total_known and progress.fraction < 1.0 else ""
