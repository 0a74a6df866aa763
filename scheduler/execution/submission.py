"""From a job file to a plan, and from a plan to an admitted run."""

from __future__ import annotations

import hashlib
import json
import os
import secrets as random_source
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from spotwise.cost_models.offer import Offer

from ..accounting.team_month import money_of
from ..core.code_version import CodeVersion
from ..core.errors import InputError, NotFoundError, RefusedError, StoreError
from ..core.run import Run, RunState
from ..core.study import StudyRecord
from ..engines.skypilot.storage_location import storage_problem as unusable_storage
from ..jobfile import file_mounts
from ..jobfile.job_notes import notes_on
from ..jobfile.job_spec import GivenVariables, JobSpec, job_of, text_to_store
from ..jobfile.settings import Settings
from ..jobfile.yaml_reader import read_text
from ..planning.market_snapshot import gather
from ..planning.measured_work import read_measured_runs
from ..planning.past_attempts import read_past_attempts
from ..planning.plan import Plan, make_plan
from ..planning.plan_json import plan_json
from ..planning.remote_checks import check_remote, remote_notes
from ..planning.sourced_market import with_sources
from ..planning.trial_duration import disagreement, related_hours, unused_times
from ..planning.trial_gpu_memory import trial_memory
from ..planning.warm_start import warm_start_of
from ..planning.warm_start_text import prior_texts
from ..planning.work_estimate import measure, overhead_hours, work_of
from ..store import TeamLimit
from ..tuning.search.related_studies import RelatedStudy, pick_priors
from .context import App
from .run_code import fix_code, work_folder
from .run_secrets import forget_secrets, secrets_of_submission
from .stored_job import check_storable
from .study_record import description_of
from .workloads import write_sweep_task

_ID_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # without look-alikes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job with its plan, ready to be submitted."""

    job: JobSpec
    text: str  # the job file without secrets: what the store keeps
    plan: Plan
    priors: tuple[StudyRecord, ...]


def prepare(app: App, path: Path, given: GivenVariables | None = None) -> Prepared:
    """Read a job file and plan it on what is known now.

    Args:
        given: variables of the command line.

    Raises:
        JobFileError: faults of the file.
        InputError: it cannot run on the engine's machines as it is.
    """
    now = app.clock.now()
    given = given or GivenVariables()
    written = read_text(path)
    job = job_of(written, path, now=now, given=given)
    app.settings.check_team(job.team, path)
    elsewhere = app.settings.engine != "local"
    if elsewhere:
        check_remote(job)
    text = text_to_store(written, job, given, os.environ)
    check_storable(text, source=str(path))
    engine, cooldown = app.engine(app.settings.engine), app.settings.cooldown_hours
    past = read_past_attempts(app.store, engine.hour_s, now, cooldown)
    known = gather(engine, past, app.settings.overheads, now, cooldown_hours=cooldown)
    known, answers = with_sources(known, app.sources(), job, now)
    seen = read_measured_runs(app.store, known, job_name=job.name, job_yaml=text, kind=job.kind)
    known = known.with_overhead(overhead_hours(job.kind, seen))
    found = _priors(app, job)
    warm_start = warm_start_of(job, found)
    ran = app.store.attempts([each.study.id for each in found])
    hours = related_hours(job, warm_start, ran, known)
    unused = "" if hours is not None else unused_times(job, warm_start, ran, known)
    memory = trial_memory(related.study for related in found)
    plan = make_plan(
        job,
        replace(
            work_of(job, measure(text, seen), hours, unused=unused),
            gpu_memory_gib=memory.needed_gib if memory else None,
        ),
        known,
        now,
        team_money_left=team_money_left(app, job.team, now),
        cooldown_hours=cooldown,
        priors=prior_texts(job, warm_start),
        warm_start=warm_start,
        trial_hours=hours,
        trial_memory=memory,
        notes=[*_notes(app.settings, job, known.offers), *disagreement(job, hours)],
        checkpoint_seen=text in seen.kept,
    )
    return Prepared(job, text, replace(plan, sources=answers), tuple(related.study for related in found))


def submit(app: App, prepared: Prepared, *, run_id: str | None = None, again: bool = False) -> tuple[Run, bool]:
    """Admit a job and return its run, and whether it is new: an active run of the same job file is not started twice.

    Raises:
        RefusedError: deadline or budget cannot be met.
        InputError: a secret has no value, the run's files no place, or its code cannot be fixed.
    """
    job, plan = prepared.job, prepared.plan
    workdir = job.workdir or str(Path.cwd())
    files = _mounts_json(job)
    identity = [workdir, prepared.text, *([files] if files != "{}" else [])]  # the same text may mean other files
    active_key = hashlib.sha256("\0".join(identity).encode()).hexdigest()
    active = None if again else app.store.active_run(active_key)
    if active is not None:
        return active, False
    if plan.refusals:
        raise RefusedError("\n".join(f"{job.name} is refused: {reason}" for reason in plan.refusals))
    values = _secret_values(job)
    code = fix_code(job, workdir, home=app.home, engine=app.settings.engine)
    run = _run(app, prepared, run_id or new_run_id(job.name), workdir, code)
    folder = Path(run.folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_sweep_task(run, job, prepared.priors)
    limit = team_limit(app, job.team, run.submitted_at)
    try:
        with secrets_of_submission(run, values, app.settings.store_url):
            admitted = app.store.add_run(run, run.id if again else active_key, limit)
    except (RefusedError, StoreError):
        _discard_unless_added(app, run)
        raise
    if admitted.id != run.id:
        _discard(folder)
    return admitted, admitted == run


def start_supervisor(app: App, settings_file: Path | None) -> None:
    """Start a supervisor in the background; leases settle it if there is one already."""
    command = [sys.executable, "-P", "-m", "spotwise.scheduler.cli"]  # -P: a click.py in this folder is not ours
    if settings_file is not None:
        command += ["--settings", str(settings_file.absolute())]
    with (app.home / "supervisor.log").open("ab") as log:
        subprocess.Popen(
            [*command, "supervise", "--until-idle"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "SPOTWISE_HOME": str(app.home)},
        )


def new_run_id(job_name: str) -> str:
    """The job's name and six random letters."""
    return f"{job_name}-{''.join(random_source.choice(_ID_LETTERS) for _ in range(6))}"


def team_limit(app: App, team: str, now: datetime) -> TeamLimit | None:
    """What a team may commit this calendar month (UTC); None without a budget in the settings."""
    budget = app.settings.monthly_budget_usd(team)
    return None if budget is None else TeamLimit(budget, now)


def team_money_left(app: App, team: str, now: datetime) -> Decimal | None:
    """Budget of the month, less what the team spent, less what its active runs have set aside; of the money in use."""
    limit = team_limit(app, team, now)
    if limit is None:
        return None
    money = money_of(app.engine(app.settings.engine).cost_basis)
    return limit.budget_usd - app.store.team_month(team, money, now).committed_usd


def _notes(settings: Settings, job: JobSpec, offers: Sequence[Offer]) -> list[str]:
    problem = storage_problem(settings)
    return [
        *notes_on(job, settings.engine),
        *(remote_notes(job, offers) if settings.engine != "local" else ()),
        *([f"no run can be submitted: {problem}"] if problem else ()),
    ]


def _run(app: App, prepared: Prepared, run_id: str, workdir: str, code: CodeVersion | None) -> Run:
    job, plan, engine, folder = prepared.job, prepared.plan, app.settings.engine, app.home / "runs" / run_id
    chosen = plan.chosen.estimate if plan.chosen is not None and plan.work.hours is not None else None
    cost = chosen.cost_usd if chosen is not None else None
    return Run(
        id=run_id,
        job_name=job.name,
        kind=job.kind,
        owner=job.owner,
        team=job.team,
        project=job.project,
        state=RunState.WAITING,
        job_yaml=prepared.text,
        workdir=work_folder(code, workdir, home=app.home, run_folder=folder, engine=engine),
        folder=str(folder),
        engine=engine,
        storage=_storage(app, run_id),
        hosts=job.hosts,
        submitted_at=app.clock.now(),
        deadline_at=plan.deadline_at,
        budget_usd=job.budget_usd,
        reserved_usd=plan.reserved_usd,
        predicted_usd=cost.expected if cost else None,
        predicted_low_usd=cost.p10 if cost else None,
        predicted_high_usd=cost.p90 if cost else None,
        predicted_hours=chosen.hours.expected if chosen else None,
        plan_json=json.dumps(plan_json(plan)),
        mounts_json=_mounts_json(job),
        code_json="{}" if code is None else code.to_json(),
    )


def _mounts_json(job: JobSpec) -> str:
    return json.dumps({key: job.sky[key] for key in file_mounts.KEYS if job.sky.get(key)})


def _storage(app: App, run_id: str) -> str:
    """Where the run's nodes keep its files, if they are not on this machine."""
    if app.settings.engine != "skypilot":
        return ""
    base, problem = app.settings.skypilot.storage, storage_problem(app.settings)
    if base is None or problem is not None:
        raise InputError(problem or "skypilot.storage is not set")
    whole = base if "://" in base else str(Path(base).expanduser())  # each node's home is another
    return f"{whole.rstrip('/')}/{run_id}"


def storage_problem(settings: Settings) -> str | None:
    """Why no run can keep its files where the settings say, in the words of `spotwise doctor`; None where it may."""
    if settings.engine != "skypilot":
        return None
    problem = unusable_storage(settings.skypilot.storage)
    if problem is None:
        return None
    where = "" if settings.source is None else f"{settings.source}: "
    key = "" if settings.skypilot.storage is None else "skypilot.storage: "
    return f"{where}{key}{problem.found}; {problem.fix}"


def _priors(app: App, job: JobSpec) -> tuple[RelatedStudy, ...]:
    if job.sweep is None:
        return ()
    return pick_priors(
        job.sweep.priors,
        _past_studies(app, job.sweep.priors),
        space=job.sweep.space_spec,
        metric=job.sweep.metric,
        job_name=job.name,
        labels={**job.labels, "team": job.team, "project": job.project},
        task=description_of(job.sweep),
    )


def _past_studies(app: App, priors: str | Sequence[str]) -> list[StudyRecord]:
    """The studies to pick from. Which are related is found by looking at all."""
    if isinstance(priors, str):
        return [] if priors == "none" else app.store.studies()
    named = app.store.studies(priors)
    return named if len(named) == len(set(priors)) else app.store.studies()  # to say which there are


def _secret_values(job: JobSpec) -> dict[str, str]:
    """Each secret's value: from the file, or from the submitter's environment where the file gives none."""
    values = {name: os.environ.get(name) if value is None else value for name, value in job.secrets.items()}
    missing = sorted(name for name, value in values.items() if value is None)
    if missing:
        raise InputError(
            f"secrets {', '.join(missing)}: no value in the job file and none in the environment; export them, or give "
            f"them with --secret {missing[0]}=VALUE"
        )
    return {name: value for name, value in values.items() if value is not None}


def _discard_unless_added(app: App, run: Run) -> None:
    """Leave nothing behind of what was not admitted; where the store cannot tell, leave the folder to a later look."""
    try:
        app.store.run(run.id)
    except NotFoundError:
        _discard(Path(run.folder))
    except StoreError:
        forget_secrets(run)


def _discard(folder: Path) -> None:
    """The folder of a submission that turned out to be running already: only what submit wrote is in it."""
    for name in ("sweep.json", "secrets.json"):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()
