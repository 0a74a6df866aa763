"""Following a run: the live view, and its logs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live

from ..core.errors import NotFoundError
from ..core.run import Run
from ..engines.base import handle_of
from ..execution.context import App
from ..execution.lease_owner import is_driven
from ..execution.submission import start_supervisor
from .status_view import RunView, RunWatcher, print_end, run_detail

REFRESH_S = 0.5
UNDRIVEN = timedelta(seconds=10)  # a run that had no supervisor for so long gets another: nobody waits for nothing


def watch_run(app: App, run_id: str, console: Console, settings_file: Path | None = None) -> int:
    """Show a run until it ends; a live view on a terminal, a line an event elsewhere. Returns the exit code.

    Whoever watches waits for the end, so a supervisor that died meanwhile is replaced.
    """
    views = _views(app, run_id, settings_file)
    show = _live if console.is_terminal else _lines
    view = show(views, console)
    print_end(view, console)
    return view.exit_code


def _live(views: Iterator[RunView], console: Console) -> RunView:
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        for view in views:
            live.update(run_detail(view), refresh=True)
    return view


def _lines(views: Iterator[RunView], console: Console) -> RunView:
    printed = 0
    for view in views:
        for event in view.events[printed:]:
            money = f"{view.spent_usd:.2f} USD"
            line = f"{event.at:%H:%M:%S}  {event.kind:10s} {event.message}  [{money}]"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
        printed = len(view.events)
    console.print(run_detail(view, with_events=False))
    return view


def _views(app: App, run_id: str, settings_file: Path | None) -> Iterator[RunView]:
    watcher, driven_at = RunWatcher(app.store, run_id), app.clock.now()
    while True:
        view = watcher.look(app.clock.now())
        yield view
        if view.run.state.is_final:
            return
        driven_at = _driven_at(app, run_id, driven_at, settings_file)
        time.sleep(REFRESH_S)


def _driven_at(app: App, run_id: str, before: datetime, settings_file: Path | None) -> datetime:
    """When a run last had a supervisor; starts one where it has been without for a while."""
    now = app.clock.now()
    if is_driven(app.store, run_id, now):
        return now
    if now - before < UNDRIVEN:
        return before
    start_supervisor(app, settings_file)
    return now


def print_logs(app: App, run_id: str, *, follow: bool, trial: int | None, tail: int | None) -> None:
    """Print a run's logs so far (the last ``tail`` lines of each), and with ``follow`` what comes until it ends."""
    printed: dict[str, int] = {}
    cut = tail  # only what is there at first is cut
    while True:
        run = app.store.run(run_id)
        for name, lines in _logs(app, run, trial):
            first = printed.get(name, 0 if cut is None else max(0, len(lines) - cut))
            for line in lines[first:]:
                print(line, flush=True)
            printed[name] = len(lines)
        cut = None
        if not follow or run.state.is_final:
            return
        time.sleep(REFRESH_S)


def _logs(app: App, run: Run, trial: int | None) -> Iterator[tuple[str, list[str]]]:
    """Name and lines so far of each log; a last line that is still being written is withheld while the run lives."""
    if trial is not None:
        path = Path(run.folder) / "trials" / f"{trial:04d}" / "log.txt"
        if not path.exists():
            raise NotFoundError(f"{run.id} has no log of trial {trial}: `spotwise status {run.id}` lists its trials")
        text = path.read_text(encoding="utf-8", errors="replace")
        whole = text if run.state.is_final else text[: text.rfind("\n") + 1]
        yield path.name, whole.splitlines()
        return
    engine = app.engine(run.engine)
    for attempt in app.store.attempts(run.id):
        for node in range(attempt.nodes):
            head = f"--- attempt {attempt.number} on {attempt.offer.key}" + (f", node {node}" if node else "")
            lines = engine.logs(handle_of(run, attempt), node=node)
            yield f"{attempt.id}/{node}", [head, *(line.rstrip() for line in lines)]
