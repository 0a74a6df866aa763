"""What a round of the supervisor begins with: the runs that go on, their attempts, and what engines see of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..core.errors import StoreError, UnreadableRunError
from ..core.run import Attempt, Run
from ..engines.base import Engine, Handle, Observation
from ..store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActiveRuns:
    """The runs that have not ended, as the store has them."""

    runs: list[Run]
    attempts: dict[str, list[Attempt]]  # by run id
    unreadable: Mapping[str, str]  # by run id, why its rows cannot be read; such a run may be among ``runs``


def read_active_runs(store: Store) -> ActiveRuns:
    """Raises ``StoreError``; a row that cannot be read is none."""
    store.unreadable.forget()
    runs = store.runs(active=True)
    attempts: dict[str, list[Attempt]] = {}
    for attempt in store.attempts(active=True):
        attempts.setdefault(attempt.run_id, []).append(attempt)
    return ActiveRuns(runs, attempts, store.unreadable.of_runs())


def warn_of_unreadable(found: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Say of each run that cannot be read why, once."""
    for run_id, why in found.items():
        if before.get(run_id) != why:
            _log.warning("%s", UnreadableRunError(run_id, why))


def observe_all(
    engine_named: Callable[[str], Engine], handles: Mapping[str, Sequence[Handle]]
) -> dict[str, Observation]:
    """One batched call an engine, by its name. What cannot be seen this time is looked at in the next round."""
    seen: dict[str, Observation] = {}
    for name, batch in handles.items():
        try:
            seen.update(engine_named(name).observe(batch))
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the runs of other engines must go on
            _log.warning("engine %s cannot be observed; trying again", name, exc_info=True)
    return seen
