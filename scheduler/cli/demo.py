"""`spotwise demo`: a small job from plan to report on an emulated market, wherever spotwise is installed."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import console
from .context import FILE

if TYPE_CHECKING:
    from .context import Context


@click.command()
@click.option("--home", type=FILE, help="Folder for all that it makes; default: a new temporary one.")
@click.option("--out", type=FILE, help="Folder for the report; default: that folder's report.")
@click.pass_obj
def demo(context: Context, home: Path | None, out: Path | None) -> int:
    """Try spotwise in under a minute: a training survives preemptions on an emulated market. No real money.

    It needs no cloud and no framework, leaves your own runs and settings alone, and says where it wrote what.
    """
    from ..core.errors import ExitCode
    from ..execution.context import App
    from ..execution.submission import prepare, start_supervisor, submit
    from ..reports.aggregate import build_report
    from ..reports.files import write_reports
    from ..reports.load import report_data
    from .plan_view import print_plan
    from .watch import watch_run

    folder = (home or Path(tempfile.mkdtemp(prefix="spotwise-demo-"))).absolute()
    _copy_files(folder)
    settings = folder / "settings.yaml"
    os.environ["SPOTWISE_HOME"] = str(folder)  # of this process and of the supervisor that it starts
    app = App.open(settings, command="demo")
    prepared = prepare(app, folder / "job.yaml")
    print_plan(prepared.plan, console())
    run, _ = submit(app, prepared, again=True)
    start_supervisor(app, settings)
    code = watch_run(app, run.id, console(), settings)
    data = report_data(app)
    paths = write_reports(build_report(data), data, out or folder / "report")
    print(f"\nreport: {paths.html.absolute()}")
    print(f"job, program, market and settings to try out more: {folder}")
    print(f"next: export SPOTWISE_HOME={folder} SPOTWISE_SETTINGS={settings}; spotwise status")
    return code or ExitCode.DONE


def _copy_files(folder: Path) -> None:
    """What the package brings, unless it is there already: a second demo in one folder goes on with its market."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files("spotwise.scheduler.cli").joinpath("demo_files").iterdir():
        to = folder / ("code" if file.name == "train.py" else "") / file.name
        to.parent.mkdir(exist_ok=True)
        if not to.exists():
            text = file.read_text(encoding="utf-8")
            to.write_text(text.replace("@PYTHON@", shlex.quote(sys.executable)), encoding="utf-8")
