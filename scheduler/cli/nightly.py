"""The nightly command wired to the store, the supervisor and the registry."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from ..core.deadline import is_done_late
from ..core.errors import ExitCode, InputError, NotFoundError
from ..core.run import Run
from ..execution.context import App
from ..execution.submission import prepare, start_supervisor, submit
from ..execution.workloads import checkpoint_url
from ..jobfile.job_spec import load_job, parse_job
from ..retraining.cron import crontab_text
from ..retraining.fetch import judged_checkpoint
from ..retraining.judging import FinishedRun
from ..retraining.nightly import NightlyResult, run_nightly
from ..retraining.occurrences import Occurrence
from ..retraining.terms import terms_of
from ..store.nights import SqlOccurrences, record_judgement
from .watch import watch_run

CRON_VARIABLES = ("SPOTWISE_SETTINGS",)


def retrain(app: App, config: Path, settings_file: Path | None, *, force: bool, console: Console) -> NightlyResult:
    """Retrain if a trigger of ``config`` fires. Blocks until the run has ended.

    Raises:
        JobFileError: faults in ``config``.
        InputError: it has no ``retrain:``.
    """
    job = load_job(config, now=app.clock.now())

    def start(occurrence: Occurrence) -> str:
        if _exists(app, occurrence.run_id):
            return occurrence.run_id
        console.print(f"{occurrence.model} {occurrence.id}: training {occurrence.run_id}", highlight=False)
        submit(app, prepare(app, config), run_id=occurrence.run_id, again=True)
        return occurrence.run_id

    late: list[Run] = []

    def wait(run_id: str) -> FinishedRun:
        if not app.store.run(run_id).state.is_final:
            start_supervisor(app, settings_file)
            watch_run(app, run_id, console, settings_file)
        run = app.store.run(run_id)
        late.extend([run] if is_done_late(run) else [])
        return _finished(app, run)

    result = run_nightly(
        job,
        home=app.home,
        clock=app.clock,
        occurrences=SqlOccurrences(app.store),
        submit=start,
        wait=wait,
        record=lambda judgement: record_judgement(app.store, judgement),
        force=force,
        default_timezone=app.settings.nightly.timezone,
    )
    return replace(result, exit_code=ExitCode.LATE) if late and result.exit_code is ExitCode.DONE else result


def cron_text(app: App, config: Path) -> str:
    """What to put into the crontab, with comments."""
    job = load_job(config, now=app.clock.now())
    if job.retrain is None:
        raise InputError(f"{config}: no retrain: section, so nothing is due at night")
    calendar = terms_of(job, default_timezone=app.settings.nightly.timezone).calendar
    env = {name: os.environ[name] for name in CRON_VARIABLES if name in os.environ}
    if app.settings.source is not None:
        env["SPOTWISE_SETTINGS"] = str(app.settings.source.absolute())
    return crontab_text(config.absolute(), calendar, python=Path(sys.executable), home=app.home, env=env)


def _exists(app: App, run_id: str) -> bool:
    try:
        app.store.run(run_id)
    except NotFoundError:
        return False
    return True


def _finished(app: App, run: Run) -> FinishedRun:
    """How a run ended, with the newest intact checkpoint, or the best where the gate asks for it, and its very metrics.

    The last line of the progress file may be about a later one that was damaged since: the gate judges what it
    promotes.
    """
    job = parse_job(run.job_yaml, source=run.id)
    judged = judged_checkpoint(job, checkpoint_url(run, job), Path(run.folder) / "fetched")
    cost = app.store.booked_usd(run.id)
    metrics = {} if judged is None else judged.metrics
    return FinishedRun(run.id, run.state, metrics, None if judged is None else judged.folder, cost, run.end_reason)
