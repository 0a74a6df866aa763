"""The command line. Thin: every command is a few calls, and everything heavy is imported when it is needed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from spotwise.cost_models.sources import SOURCE_NAMES

from ..core.text import counted
from .cancel_command import cancel
from .console import console as _console
from .console import print_json as _print_json
from .context import FILE, Context
from .demo import demo
from .examples import add_examples
from .exit_codes import run_command as _run
from .gc_command import gc
from .notify import notify
from .run_ids import complete_run_id, newest_run_id
from .store_commands import history, migrate
from .studies_commands import studies
from .variables import with_variables

if TYPE_CHECKING:
    from ..jobfile.job_spec import GivenVariables


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--settings", type=FILE, help="Settings file; default: configs/settings.yaml, then $SPOTWISE_HOME's.")
@click.version_option(package_name="spotwise")
@click.pass_context
def cli(context: click.Context, settings: Path | None) -> None:
    """Train on the cheapest GPUs that still finish on time.

    Exit codes: 0 done, 2 bad input, 3 refused (budget or deadline), 4 the run failed, 5 nothing to do,
    6 done after the deadline, 70 a fault of spotwise itself.
    """
    context.obj = Context(settings)


_ENGINE = click.option("--engine", help="local or skypilot; default: as the settings say.")


@cli.command()
@click.argument("job", type=FILE)
@_ENGINE
@with_variables
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan(context: Context, job: Path, engine: str | None, *, as_json: bool, given: GivenVariables) -> int:
    """Predict what JOB will cost and when it ends, without starting anything."""
    from ..execution.submission import prepare
    from ..jobfile.job_spec import load_job
    from ..planning.plan_json import plan_json
    from .plan_view import print_plan

    load_job(job, given=given)  # before the home is made: a faulty file leaves nothing behind
    found = prepare(context.app(engine), job, given).plan
    if as_json:
        _print_json(plan_json(found))
    else:
        print_plan(found, _console())
    return 3 if found.refusals else 0


@cli.command()
@click.argument("job", type=FILE)
@click.option("--out", type=FILE, help="File to write; default: print it.")
@click.option("--pin", is_flag=True, help="Only the offer that the plan chooses, instead of all in order.")
@with_variables
@click.pass_obj
def export(context: Context, job: Path, out: Path | None, *, pin: bool, given: GivenVariables) -> int:
    """Write JOB as a plain SkyPilot task, for `sky launch` and `sky jobs launch`."""
    from ..execution.submission import prepare
    from ..jobfile.job_spec import load_job
    from .export_task import exported

    load_job(job, given=given)  # before the home is made: a faulty file leaves nothing behind
    app = context.app("skypilot")
    found = prepare(app, job, given)
    pools, now = app.settings.skypilot.pools, app.clock.now()
    text = exported(found.job, found.plan, pools, now, pin=pin, source=job.name)
    if out is None:
        print(text, end="")
        return 0
    out.write_text(text, encoding="utf-8")
    print(f"wrote {out}; next: sky jobs launch {out}")
    return 0


@cli.command()
@click.argument("job", type=FILE)
@_ENGINE
@with_variables
@click.option("--watch", is_flag=True, help="Show the run until it ends; its outcome is the exit code.")
@click.option("--again", is_flag=True, help="Start another run although one of this job file is active.")
@click.pass_obj
def submit(context: Context, job: Path, engine: str | None, *, watch: bool, again: bool, given: GivenVariables) -> int:
    """Plan JOB, admit it, and run it in the background."""
    from ..execution.submission import prepare, start_supervisor
    from ..execution.submission import submit as admit
    from ..jobfile.job_spec import load_job
    from .plan_view import warm_start_line

    load_job(job, given=given)  # before the home is made: a faulty file leaves nothing behind
    app = context.app(engine)
    prepared = prepare(app, job, given)
    run, is_new = admit(app, prepared, again=again)
    where = prepared.plan.chosen.offer.key if prepared.plan.chosen else "the first offer that comes up"
    active = f"{run.id} of this job file is active already, with the code of its submission; --again starts another"
    print(f"submitted {run.id}: starts on {where}" if is_new else active, flush=True)
    if is_new and (learns := warm_start_line(prepared.plan)):
        print(learns, flush=True)
    start_supervisor(app, context.settings)
    if watch:
        from .watch import watch_run

        return watch_run(app, run.id, _console(), context.settings)
    print(f"next: spotwise status {run.id} · spotwise logs -f {run.id} · spotwise cancel {run.id}")
    return 0


@cli.command()
@click.option("--until-idle/--forever", default=True, help="Leave when no run is active (default), or stay.")
@click.pass_obj
def supervise(context: Context, until_idle: bool) -> int:
    """Drive all active runs; picks up whatever an earlier supervisor left."""
    from ..execution.supervisor import Supervisor
    from ..notifications.notifier import Notifier

    app = context.app()
    with Notifier(app.store, app.settings, app.clock):
        Supervisor(app.store, app.engine, app.settings, app.clock).run(until_idle=until_idle)
    return 0


@cli.command()
@click.argument("run_id", required=False, shell_complete=complete_run_id)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--watch", is_flag=True, help="Show one run until it ends.")
@click.option("--limit", type=click.IntRange(min=1), help="The newest so many runs; default: 100, in JSON all.")
@click.pass_obj
def status(context: Context, run_id: str | None, as_json: bool, watch: bool, limit: int | None) -> int:
    """Show the newest runs and all active ones, or one run with its attempts, trials and reasons."""
    from .runs_view import NEWEST, listed_runs, readable, run_lines, status_table
    from .status_json import status_json
    from .status_view import RunWatcher, run_detail
    from .supervision_view import print_supervision, unsupervised_since, with_supervision

    app = context.app()
    store, now = app.store, app.clock.now()
    if watch:
        from .watch import watch_run

        if run_id is None:
            raise click.UsageError("--watch needs a RUN_ID")
        return watch_run(app, run_id, _console(), context.settings)
    if run_id is not None:
        view = RunWatcher(store, run_id).look(now)
        if as_json:
            _print_json(with_supervision(status_json(view), unsupervised_since(store, now)))
        else:
            _console().print(run_detail(view))
            print_supervision(store, now, _console(), run_id)
        return 0
    runs = listed_runs(store, limit if as_json else limit or NEWEST)
    if as_json:
        since = unsupervised_since(store, now)
        of_run = lambda run: with_supervision(status_json(RunWatcher(store, run.id).look(now)), since)  # noqa: E731
        shown = readable(store, runs, of_run)
        passed_over = [{"run": run, "why": why} for run, why in sorted(store.unreadable.of_runs().items())]
        _print_json({"runs": shown, "unreadable": passed_over})
    elif runs:
        _console().print(status_table(run_lines(store, runs, now)))
        print_supervision(store, now, _console())
        if older := store.count("runs") - len(runs):
            print(f"{counted(older, 'older run')} not shown: --limit shows more")
    elif not store.unreadable.of_runs():
        print("no run yet: submit one with `spotwise submit JOB.yaml`")
    return 0


@cli.command()
@click.argument("run_id", required=False, shell_complete=complete_run_id)
@click.option("-f", "--follow", is_flag=True, help="Keep printing until the run ends.")
@click.option("--trial", type=int, help="The log of one trial of a sweep.")
@click.option("--tail", type=click.IntRange(min=0), help="Only the last lines so far.")
@click.pass_obj
def logs(context: Context, run_id: str | None, follow: bool, trial: int | None, tail: int | None) -> int:
    """Print what a run's program printed, attempt by attempt; without RUN_ID, of the newest run."""
    from .watch import print_logs

    app = context.app()
    print_logs(app, run_id or newest_run_id(app.store), follow=follow, trial=trial, tail=tail)
    return 0


@cli.command()
@_ENGINE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(context: Context, engine: str | None, as_json: bool) -> int:
    """Check this installation, and say how to mend what is wrong: exit code 2 if something must be mended."""
    import os

    from ..diagnostics.doctor import examine
    from .doctor_view import checks_json, exit_code, print_checks

    checks = examine(context.settings, engine, os.environ, Path.cwd())
    if not as_json:
        return print_checks(checks, _console())
    made = list(checks)
    _print_json(checks_json(made))
    return exit_code(made)


@cli.command()
@click.argument("config", type=FILE)
@click.option("--force", is_flag=True, help="Retrain although no trigger fires.")
@click.option("--print-cron", is_flag=True, help="Print the crontab line for this file and leave.")
@click.pass_obj
def nightly(context: Context, config: Path, force: bool, print_cron: bool) -> int:
    """Retrain if a trigger of CONFIG fires, and promote the model if it is better."""
    from ..notifications.notifier import Notifier
    from .nightly import cron_text, retrain

    if print_cron:
        print(cron_text(context.app(), config))
        return 0
    app = context.app()
    with Notifier(app.store, app.settings, app.clock):  # of a promotion nobody but this process knows
        result = retrain(app, config, context.settings, force=force, console=_console())
    print(result.message)
    return int(result.exit_code)


@cli.command()
@click.option("--out", type=FILE, default=Path(), help="Folder for report.html, report.txt and focus.csv.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and write nothing.")
@click.pass_obj
def report(context: Context, out: Path, as_json: bool) -> int:
    """Where the money went: a table here, report.html, and a FOCUS 1.2 CSV."""
    from ..reports.aggregate import build_report
    from ..reports.as_json import report_json
    from ..reports.files import write_reports
    from ..reports.load import report_data
    from ..reports.terminal import render_terminal

    data = report_data(context.app())
    built = build_report(data)
    if as_json:
        _print_json(report_json(built))
        return 0
    paths = write_reports(built, data, out)  # first: `report --out DIR | head` ends at the first line that nobody reads
    render_terminal(built, _console())
    for path in (paths.html, paths.text, paths.focus_csv):
        print(f"wrote {path.absolute()}")
    return 0


@cli.command()
@click.option("--port", default=8470, show_default=True, help="Port on this machine's loopback address.")
@click.pass_obj
def web(context: Context, port: int) -> int:
    """Serve the report as a page that is always up to date."""
    from ..reports.load import report_data
    from ..web import serve

    app = context.app()
    print(f"http://127.0.0.1:{port}  (Ctrl-C ends it)", flush=True)
    serve(lambda: report_data(app), port=port)
    return 0


@cli.command()
@_ENGINE
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--accelerators", help="Only these, such as T4:1.")
@click.option("--sheet", is_flag=True, help="The price sheet that comes with spotwise, whatever the engine offers.")
@click.option("--source", type=click.Choice(SOURCE_NAMES), help="What this source says, alone; no engine is needed.")
@click.option("--region", "regions", multiple=True, help="Only there, such as us-east-1. May be repeated.")
@click.option("--refresh", is_flag=True, help="Ask sources anew, though their last answers are fresh.")
@click.pass_obj
def prices(
    context: Context, /, engine: str | None, *, as_json: bool, sheet: bool, source: str | None, **asked: Any
) -> int:
    """List offers with their prices, hazard and source."""
    from .prices import PriceQuestion, found_prices
    from .prices_view import prices_json, print_prices

    if sheet and source:
        raise click.UsageError("--sheet and --source: name one of them")
    found = found_prices(context.app(engine), PriceQuestion(sheet=sheet, source=source, **asked))
    if as_json:
        _print_json(prices_json(found))
    else:
        print_prices(found, _console())
    return 0


@cli.command()
@click.argument("traces", type=FILE, nargs=-1, required=True)
@click.option("--policy", "policies", multiple=True, default=("deadline",), show_default=True, help="May be repeated.")
@click.option("--work", required=True, help="How much there is to do, such as 48h.")
@click.option("--deadline", required=True, help="From the start of an episode, such as 52h.")
@click.option("--restart", required=True, help="From a start until work goes on, such as 12m.")
@click.option("--tick", default="10m", show_default=True, help="How often the policy decides.")
@click.option("--stride", help="Start an episode every so often; default: one, at the first tick.")
@click.option("--checkpoint-interval", default="0m", show_default=True, help="Work between checkpoints; lost at worst.")
@click.option("--spot-price", help="USD per hour, instead of the recorded prices.")
@click.option("--on-demand-price", help="USD per hour, instead of the recorded one.")
@click.option("--together", is_flag=True, help="Side by side: each episode may use the capacity of every trace.")
@click.option("--probe", default="2m", show_default=True, help="--together: lost by a failed probe for spot capacity.")
@click.option("--move", default="0m", show_default=True, help="--together: on top of a restart in another zone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, an object an episode.")
@click.option(
    "--predict", is_flag=True, help="--json: add what each episode is predicted to cost before its first tick."
)
@click.option("--decisions", type=FILE, help="Write a JSON line an episode: a letter a tick.")
@click.option("--plot", is_flag=True, help="Show the first episode tick by tick.")
def backtest(
    traces: tuple[Path, ...],
    policies: tuple[str, ...],
    *,
    as_json: bool,
    predict: bool,
    decisions: Path | None,
    plot: bool,
    **terms: Any,
) -> int:
    """Replay policies on recorded spot availability: what would they have paid, and been in time?"""
    from .backtest import backtest as play
    from .backtest_options import asked_for

    if predict and not as_json:
        raise click.UsageError("--predict: needs --json")
    asked = asked_for(traces, policies, **terms)
    play(asked, _console(), as_json=as_json, predicts=predict, decisions=decisions, plot=plot)
    return 0


for _command in (cancel, demo, gc, history, migrate, notify, studies):
    cli.add_command(_command)


@cli.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@with_variables
@click.pass_obj
def validate(context: Context, files: tuple[Path, ...], given: GivenVariables) -> int:
    """Check job files; prints every fault of every file."""
    from .validate import validated

    return validated(files, given, context.settings)


@cli.command()
@click.argument("name", required=False)
@click.option("--to", type=FILE, help="Folder to copy the recipe into; default: a new folder of its name here.")
def recipe(name: str | None, to: Path | None) -> int:
    """List the ready-to-run training jobs, or copy one to start from."""
    from .recipe import copy_recipe, recipe_lines

    if name is None:
        print("\n".join(recipe_lines()))
        return 0
    folder = copy_recipe(name, to or Path(name))
    print(f"copied to {folder}; next: spotwise plan {folder / 'job.yaml'}")
    return 0


@cli.command()
def schema() -> int:
    """Print the JSON Schema of job files, for editors."""
    from ..jobfile.job_spec import job_schema

    _print_json(job_schema())
    return 0


add_examples(cli)


def main() -> None:
    """Run a command; every fault ends with its exit code and a message, never with a traceback alone."""
    sys.exit(_run(lambda: cli.main(standalone_mode=False)))


if __name__ == "__main__":
    main()
