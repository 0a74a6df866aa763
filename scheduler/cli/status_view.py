"""Runs as people watch them: a table of all, one run in detail, and the live view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from rich import box
from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..accounting.ledger import cost_of
from ..core.code_version import CodeVersion
from ..core.deadline import DeadlineState, deadline_state, is_done_late
from ..core.errors import ExitCode, UnreadableRunError
from ..core.event_kind import EventKind
from ..core.progress import Progress
from ..core.remaining import Remaining
from ..core.run import Attempt, AttemptState, Run, RunState
from ..core.study import StudyRecord, shown_params
from ..core.text import counted
from ..execution.stored_job import stored_job
from ..execution.workloads import workload_for
from ..jobfile.job_spec import JobSpec
from ..planning.run_evidence import has_kept
from ..planning.warm_start import trial_usd
from ..planning.warm_start_text import realised_text
from ..store import RunEvent, Store
from ..tuning.savings.expected import Saving
from ..tuning.savings.realised import realised_saving
from .remaining_view import LABEL_WIDTH, deadline_end_line, remaining_lines, span
from .responsive_table import ResponsiveTable, stacked

STATE_STYLES = {
    "completed": "green",
    "running": "cyan",
    "launching": "cyan",
    "cancelling": "yellow",
    "preempted": "yellow",
    "migrated": "yellow",
    "pruned": "dim",
    "waiting": "yellow",
    "failed": "red",
    "lost": "red",
    "stopped": "red",
    "unsaved": "yellow",
    "incomplete": "yellow",
    "late": "red",
}
_UNPROVEN = "no checkpoint seen yet: a preemption now would take all work"
SHOWN_EVENTS = 6
LEAST_TEXT = 24  # characters of a line: in fewer, progress and reasons are hard to read


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with all that is shown of it."""

    run: Run
    job: JobSpec
    attempts: tuple[Attempt, ...]
    events: tuple[RunEvent, ...]
    progress: Progress
    study: StudyRecord | None
    spent_usd: Decimal  # booked, and running
    now: datetime
    checkpoint_seen: bool = True  # False: a training that was never seen to keep anything
    remaining: Remaining | None = None  # as last estimated; None: unknown, or there is none
    past_saving: Saving | None = None  # by past studies, of a sweep that has ended; None: unknown, or there are none

    @property
    def state(self) -> str:
        """The run's state, and what is on the way to another."""
        if self.run.state.is_final:
            return self.run.state.value
        if self.run.cancel_requested:
            return "cancelling"
        live = {attempt.state for attempt in self.attempts if not attempt.state.is_final}
        return AttemptState.LAUNCHING.value if live == {AttemptState.LAUNCHING} else self.run.state.value

    @property
    def deadline_state(self) -> DeadlineState | None:
        """How it stands against its deadline; None without one."""
        return deadline_state(self.run, self.remaining, self.now)

    @property
    def exit_code(self) -> ExitCode:
        """What a command that waited for its end leaves with."""
        return ExitCode.LATE if is_done_late(self.run) else FINAL_EXIT[self.run.state]

    @property
    def preemptions(self) -> int:
        return sum(attempt.state is AttemptState.PREEMPTED for attempt in self.attempts)

    @property
    def time_left(self) -> timedelta | None:
        """Time left at the pace so far; None until there is a pace."""
        if self.run.state.is_final or self.progress.fraction <= 0:
            return None
        gone = self.now - self.run.submitted_at
        return gone * ((1 - self.progress.fraction) / self.progress.fraction)


class RunWatcher:
    """Reads one run again and again; files are read incrementally."""

    def __init__(self, store: Store, run_id: str) -> None:
        self._store = store
        run = store.run(run_id)
        self._id, self._job = run_id, stored_job(run)
        self._workload = workload_for(run, self._job)
        self._past: list[StudyRecord] | None = None

    def look(self, now: datetime) -> RunView:
        run = self._store.run(self._id)
        attempts, events = self._store.attempts(self._id), self._store.events(self._id)
        if (why := self._store.unreadable.of_runs().get(self._id)) is not None:
            raise UnreadableRunError(self._id, why)
        charges = self._store.charges(self._id) if self._job.sweep else ()  # what each trial cost
        study = self._workload.study(charges, attempts, now)
        open_ = sum((cost_of(a, now) for a in attempts if not a.state.is_final and _is_up(a, events)), Decimal(0))
        return RunView(
            run=run,
            job=self._job,
            attempts=tuple(attempts),
            events=tuple(events),
            progress=self._progress(run),
            study=study,
            spent_usd=self._store.booked_usd(self._id) + open_,
            now=now,
            checkpoint_seen=self._checkpoint_seen(attempts),
            remaining=None if run.state.is_final else self._store.remaining(self._id),
            past_saving=self._saving(study) if run.state.is_final else None,
        )

    def _checkpoint_seen(self, attempts: Sequence[Attempt]) -> bool:
        if self._job.sweep is not None:
            return True
        return has_kept(attempts) or any(point.is_kept for point in self._workload.points())

    def _saving(self, study: StudyRecord | None) -> Saving | None:
        if study is None or not study.priors:
            return None
        if self._past is None:
            self._past = self._store.studies(study.priors)
        return realised_saving(study, self._past)

    def _progress(self, run: Run) -> Progress:
        seen = self._workload.progress()
        return replace(seen, fraction=1.0) if run.state is RunState.COMPLETED else seen


def _is_up(attempt: Attempt, events: Sequence[RunEvent]) -> bool:
    """Whether its machine is known to be there, or to have been: a launch that comes to nothing costs nothing.

    An attempt is recorded with the moment at which it is asked for, then noted as placed. Once its machine is up, the
    engine puts the moment at which billing began in its place.
    """
    if attempt.state is not AttemptState.LAUNCHING:
        return True
    placed = (event.at for event in events if event.attempt_id == attempt.id and event.kind == EventKind.PLACED)
    return any(attempt.launched_at > moment for moment in placed)


def run_detail(view: RunView, *, with_events: bool = True) -> RenderableType:
    """One run: where it is, what it cost and will cost, its attempts and trials, and why things happened."""
    parts: list[RenderableType] = [_headline(view), _bars(view), *_code_line(view.run)]
    ahead = None if view.run.state.is_final else _ahead(view)
    if view.run.state.is_final and (late := deadline_end_line(view.run)) is not None:
        parts.append(Text(late, style="red"))
    if ahead is not None:
        parts.append(ahead)
    if _is_unproven(view):
        parts.append(Text(_UNPROVEN, style="yellow"))
    if view.attempts:
        parts.append(_attempts(view))
    if view.study is not None and view.study.trials:
        parts.append(_trials(view.study))
        parts.extend(Text(line) for line in _saving_lines(view))
    if with_events:
        parts.append(_events(view.events[-SHOWN_EVENTS:]))
    return Group(*parts)


def _ahead(view: RunView) -> RenderableType | None:
    return remaining_lines(view.remaining, view.run.deadline_at, view.deadline_state, view.now)


def _is_unproven(view: RunView) -> bool:
    """Whether a preemption now would take all work, as far as anybody knows."""
    live = any(attempt.state is AttemptState.RUNNING and attempt.offer.is_spot for attempt in view.attempts)
    return live and not view.checkpoint_seen


def print_end(view: RunView, console: Console) -> None:
    """How a run ended, with its result."""
    run = view.run
    console.print(f"{run.state.value}: {run.end_reason}", highlight=False, markup=False, soft_wrap=True)
    if (late := deadline_end_line(run)) is not None:
        console.print(late, highlight=False)
    money = f"{view.spent_usd:.2f} USD" + (f" of {run.budget_usd:.2f}" if run.budget_usd else "")
    if run.predicted_usd is not None:
        low, high = run.predicted_low_usd, run.predicted_high_usd
        money += f", predicted {run.predicted_usd:.2f} (10-90 %: {low:.2f}-{high:.2f})"
    attempts = counted(len(view.attempts), "attempt")
    console.print(f"{attempts}, {counted(view.preemptions, 'preemption')}; {money}", highlight=False)
    best = view.study.best() if view.study is not None else None
    if best is not None and view.study is not None and best.value is not None:
        found = f"{view.study.metric} {best.value:.4f} with {shown_params(best.params)}"
        console.print(f"best trial {best.number}: {found}", highlight=False, soft_wrap=True)


def _saving_lines(view: RunView) -> list[str]:
    if view.past_saving is None or view.study is None:
        return []
    return [f"past studies are {realised_text(view.past_saving, trial_usd(view.study))}"]


def _headline(view: RunView) -> Text:
    text = Text(view.run.id, style="bold")
    text.append("  ")
    text.append(_state(view.state))
    text.append(f"  {view.progress.text}", style="default not bold")
    return text


def _bars(view: RunView) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=LABEL_WIDTH)
    left = view.time_left
    time_left = "" if left is None else f"about {span(left)} left"
    grid.add_row("work", ProgressBar(total=1, completed=view.progress.fraction, width=40), time_left)
    budget = view.run.budget_usd
    if budget:
        share = min(1.0, float(view.spent_usd / budget))
        money = f"{view.spent_usd:.2f} of {budget:.2f} USD"
        grid.add_row("budget", ProgressBar(total=1, completed=share, width=40), money)
    else:
        grid.add_row("spent", f"{view.spent_usd:.2f} USD", "")
    return grid


def _code_line(run: Run) -> list[Text]:
    """Which code runs; nothing of a run that an older version admitted."""
    code = CodeVersion.of_json(run.code_json)
    return [] if code is None else [Text(f"{'code':{LABEL_WIDTH}}  {code.text}")]


def _attempts(view: RunView) -> ResponsiveTable:
    wide = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    wide.add_column("#", justify="right", no_wrap=True)
    for name in ("where", "market", "state"):
        wide.add_column(name, no_wrap=True)
    for name in ("hours", "USD"):
        wide.add_column(name, justify="right", no_wrap=True)
    wide.add_column("how it ended", min_width=LEAST_TEXT, max_width=70)
    narrow = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    narrow.add_column("#", justify="right", no_wrap=True)
    narrow.add_column(stacked("where", "how it ended"), overflow="fold")
    narrow.add_column(stacked("market", "state"), no_wrap=True)
    narrow.add_column(stacked("hours", "USD"), justify="right", no_wrap=True)
    for attempt in view.attempts:
        number, place = str(attempt.number), str(attempt.billed.pool)
        market, state = attempt.offer.market.value.replace("_", "-"), _state(attempt.state.value)
        hours, usd = _hours_and_cost(view, attempt)
        why = attempt.end_reason if attempt.state.is_final else f"placed: {attempt.reason}"
        wide.add_row(number, place, market, state, hours, usd, _one_line(why))
        narrow.add_row(number, stacked(place, Text(why, style="dim")), stacked(market, state), stacked(hours, usd))
    return ResponsiveTable(wide, narrow)


def _hours_and_cost(view: RunView, attempt: Attempt) -> tuple[str, str]:
    if not _is_up(attempt, view.events):
        return "-", "-"
    end = attempt.ended_at or view.now
    hours = max(0.0, (end - attempt.launched_at).total_seconds()) / float(attempt.hour_s)
    return f"{hours:.2f}", f"{cost_of(attempt, end):.3f}"


def _trials(study: StudyRecord) -> ResponsiveTable:
    wide = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("trial", "epochs", study.metric, "resumed after", "USD"):
        wide.add_column(name, justify="right", no_wrap=True)
    wide.add_column("state", no_wrap=True)
    wide.add_column("configuration", min_width=LEAST_TEXT, max_width=80)
    narrow = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for above, below in (("trial", ""), ("epochs", "resumed after"), (study.metric, "USD")):
        narrow.add_column(stacked(above, below), justify="right", no_wrap=True)
    narrow.add_column(stacked("state", "configuration"), overflow="fold")
    best = study.best()
    for trial in study.trials:
        number, epochs, state = str(trial.number), str(trial.epoch), _state(trial.state.value)
        value = "" if trial.value is None else f"{trial.value:.4f}"
        resumed = ", ".join(str(epoch) for epoch in trial.restored_epochs)
        usd = "" if trial.cost_usd is None else f"{trial.cost_usd:.3f}"
        shown = ("prior: " if trial.source == "prior" else "") + shown_params(trial.params)
        style = "bold" if best is not None and trial.number == best.number else ""
        wide.add_row(number, epochs, value, resumed, usd, state, _one_line(shown), style=style)
        about = stacked(state, Text(shown, style="dim"))
        narrow.add_row(number, stacked(epochs, resumed), stacked(value, usd), about, style=style)
    return ResponsiveTable(wide, narrow)


def _events(events: Sequence[RunEvent]) -> Text:
    text = Text()
    for event in events:
        first = event.message.splitlines()[0] if event.message else ""
        text.append(f"{event.at:%H:%M:%S} ", style="dim")
        text.append(f"{event.kind:10s} ", style=STATE_STYLES.get(event.kind, ""))
        text.append(f"{first}\n")
    return text


def _one_line(text: str) -> Text:
    """Takes the room that numbers and states leave. As a Text, since a column without wrapping would take its own."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def _state(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


FINAL_EXIT = {
    RunState.COMPLETED: ExitCode.DONE,
    RunState.STOPPED: ExitCode.REFUSED,
    RunState.FAILED: ExitCode.RUN_FAILED,
    RunState.CANCELLED: ExitCode.RUN_FAILED,
}
