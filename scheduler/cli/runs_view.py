"""All runs as a table: the newest, and those that go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from rich import box
from rich.table import Table
from rich.text import Text

from ..core.errors import StoreError, UnreadableRunError
from ..core.run import Run
from ..execution.stored_job import stored_job
from ..execution.workloads import workload_for
from ..store import RunTotals, Store, UnreadableRow
from .responsive_table import ResponsiveTable, stacked
from .status_view import LEAST_TEXT, STATE_STYLES, RunView, RunWatcher

Value = TypeVar("Value")

NEWEST = 100  # lines of a table that a person still looks through


@dataclass(frozen=True, slots=True)
class ListedRun:
    """What the table says of a run."""

    run: Run
    state: str
    progress: str
    attempts: int
    preemptions: int
    spent_usd: Decimal

    @classmethod
    def of(cls, view: RunView) -> ListedRun:
        """From all that is known of a run."""
        count = len(view.attempts)
        return cls(view.run, view.state, view.progress.text, count, view.preemptions, view.spent_usd)


def listed_runs(store: Store, limit: int | None) -> list[Run]:
    """The newest runs and all that go on, oldest first; without a limit, all."""
    newest = store.runs(limit=limit)
    known = {run.id for run in newest}
    return [*(run for run in store.runs(active=True) if run.id not in known), *newest]


def run_lines(store: Store, runs: Sequence[Run], now: datetime) -> list[ListedRun]:
    """Of a run that has ended, the database adds up attempts and money; one that goes on is looked at whole.

    Those that cannot be read are left out, and are in the store's ``unreadable``.
    """
    totals = store.run_totals([run.id for run in runs if run.state.is_final])

    def line(run: Run) -> ListedRun:
        if run.state.is_final:
            return _ended(run, totals.get(run.id, RunTotals()))
        return ListedRun.of(RunWatcher(store, run.id).look(now))

    return readable(store, runs, line)


def readable(store: Store, runs: Iterable[Run], look: Callable[[Run], Value]) -> list[Value]:
    """What ``look`` makes of each run; those that it cannot read are left out, and kept in ``unreadable``."""
    found = []
    for run in runs:
        try:
            if run.id not in store.unreadable.of_runs():
                found.append(look(run))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the other runs must be shown
            why = error.why if isinstance(error, UnreadableRunError) else f"{type(error).__name__}: {error}"
            store.unreadable.add(UnreadableRow("runs", run.id, run.id, why))
    return found


def _ended(run: Run, totals: RunTotals) -> ListedRun:
    progress = workload_for(run, stored_job(run)).progress().text
    return ListedRun(run, run.state.value, progress, totals.attempts, totals.preemptions, totals.booked_usd)


def status_table(lines: Sequence[ListedRun]) -> ResponsiveTable:
    """One line a run, newest last; more lines a run where a terminal is narrow."""
    wide = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("run", "team", "kind", "state"):
        wide.add_column(name, no_wrap=True)
    wide.add_column("progress", overflow="fold", min_width=LEAST_TEXT)
    for name in ("attempts", "preempted", "USD", "of budget"):
        wide.add_column(name, justify="right", no_wrap=True)
    narrow = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    narrow.add_column(stacked("run", "team, kind", "progress"), overflow="fold")
    narrow.add_column("state", no_wrap=True)
    for above, below in (("attempts", "preempted"), ("USD", "of budget")):
        narrow.add_column(stacked(above, below), justify="right", no_wrap=True)
    for line in lines:
        run, state, progress = line.run, Text(line.state, style=STATE_STYLES.get(line.state, "")), line.progress
        attempts, preemptions = str(line.attempts), str(line.preemptions)
        spent = f"{line.spent_usd:.2f}"
        share = "" if not run.budget_usd else f"{line.spent_usd / run.budget_usd:.0%}"
        wide.add_row(run.id, run.team, run.kind.value, state, progress, attempts, preemptions, spent, share)
        about = Text(f"{run.team}, {run.kind.value}" if run.team else run.kind.value, style="dim")
        narrow.add_row(
            stacked(run.id, about, Text(progress, style="dim")),
            state,
            stacked(attempts, preemptions),
            stacked(spent, share),
        )
    return ResponsiveTable(wide, narrow)
